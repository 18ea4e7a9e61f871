/** The `kubernetes` section of the agent's configuration: what kube-router says in flags, in a structured way. */

import { z } from 'zod';
import { parseCommunity, parseLargeCommunity } from '../../bgp/wire/communityText.js';
import { BALANCER_CLASSES } from '../../routing/loadBalancer/pools.js';
import { OverlaySection } from '../overlayConfig.js';
import { FirewallSection } from './firewallSchema.js';
import { AntiSpoofSection, EgressAddressSection } from './podAddressSchema.js';
import { ProxySection } from './proxySchema.js';
import { PeerGroup, PeerOptions, Router } from './schema.js';
import { TENANCIES, TenantsSection } from './tenantSchema.js';
import { address, distinct, plainAddress, prefix, text } from './textSchema.js';

const DEFAULT_PORT = 179;
const HEALTH_PORT = 20244;

const port = z.int().min(1).max(65535);
const portOrNone = z.int().min(0).max(65535);
const number = z.int().min(0).max(0xffff_ffff);
const ranges = z.array(prefix).default([]);

const Run = z.strictObject({
  router: z
    .boolean()
    .default(true)
    .describe(
      'Speak BGP and install routes. False: the other parts alone, beside another network of pods; nothing is announced, and routes, tunnels, the bridge, the CNI configuration and egress are left to that. Default true.',
    ),
  serviceProxy: z.boolean().default(false).describe('Serve services in place of kube-proxy.'),
  firewall: z.boolean().default(false).describe('Enforce network policies.'),
  bandwidth: z
    .boolean()
    .default(false)
    .describe('Keep pods to what kubernetes.io/ingress-bandwidth and egress-bandwidth allow them. Default false.'),
  loadBalancer: z.boolean().default(false).describe('Give addresses to services of type LoadBalancer.'),
});

const milliseconds = z
  .int()
  .min(1)
  .max(0xffff_ffff / 1000);

const Bfd = z
  .strictObject({
    port: port.default(3784).describe('UDP port.'),
    detectionMultiplier: z.int().min(1).max(255).default(3).describe('Packets that may be missed.'),
    desiredMinTx: milliseconds.default(1000).describe('Milliseconds between packets we send.'),
    requiredMinRx: milliseconds.default(1000).describe('Milliseconds between packets we can take.'),
  })
  .describe('BFD (RFC 5880). Noted for whoever runs it; no BFD session is set up yet.');

const ExternalPeer = z.strictObject({
  address: address.describe('Address of the router.'),
  asn: Router.shape.asn.describe('Its AS.'),
  port: PeerOptions.shape.port.optional(),
  localAddress: PeerOptions.shape.localAddress.optional(),
  password: PeerOptions.shape.password.optional(),
  holdTime: PeerOptions.shape.holdTime.optional(),
  multihop: PeerOptions.shape.multihop.optional(),
  bfd: Bfd.optional(),
});

/** What the cluster's policies decide, or what hangs on the single peer, is no value for all. */
const ExternalPeerValues = PeerGroup.omit({
  asn: true,
  localAddress: true,
  localAsn: true,
  announce: true,
  nextHopSelf: true,
  routeReflectorClient: true,
});

const Advertise = z.strictObject({
  podCidr: z
    .boolean()
    .default(true)
    .describe("Tell external peers of this node's pod networks. Nodes are always told."),
  clusterIp: z.boolean().default(false).describe('Announce cluster IPs of services whose annotation does not say.'),
  externalIp: z.boolean().default(false).describe('Announce their external IPs.'),
  loadBalancerIp: z.boolean().default(false).describe('Announce their load-balancer IPs.'),
  toNodes: z.boolean().default(false).describe('Tell service addresses to other nodes too.'),
});

const Services = z.strictObject({
  clusterIpRanges: z
    .array(prefix)
    .default(['10.96.0.0/12'])
    .describe('Ranges of cluster IPs; routes inside are not taken from peers. Default 10.96.0.0/12.'),
  externalIpRanges: ranges.describe('Ranges that external IPs must be in.'),
  loadBalancerIpRanges: ranges.describe('Ranges that load-balancer IPs must be in.'),
  strictValidation: z
    .boolean()
    .default(true)
    .describe('Announce no external or load-balancer IP outside its ranges. Default true.'),
  announceIdle: z
    .boolean()
    .default(false)
    .describe('Announce services without any ready endpoint too. Default false: they are withdrawn.'),
  loadBalancerClasses: z
    .array(z.string().min(1))
    .optional()
    .describe(
      'Announce load-balancer IPs of these classes only. Default: of every class, and of services without one.',
    ),
  settleTime: z
    .number()
    .min(0)
    .max(600)
    .default(2)
    .describe(
      'Seconds that traffic has to turn away from a withdrawn address before its data plane takes it out. Default 2.',
    ),
  proxyNames: z
    .array(z.string())
    .default(['kube-router', 'peerage'])
    .describe('Values of the label service.kubernetes.io/service-proxy-name that mean us.'),
});

const Import = z.strictObject({
  reject: ranges.describe('Refuse these prefixes and all inside, from everybody.'),
  allowFromExternal: ranges.describe('Take from external peers only what is inside these. Default: anything.'),
  defaultRoute: z.boolean().default(false).describe('Take 0.0.0.0/0 and ::/0.'),
  serviceAddresses: z.boolean().default(false).describe('Take routes to service addresses.'),
});

const attributes = {
  med: number.optional(),
  localPref: number.optional(),
  communities: z.array(text(parseCommunity)).optional(),
  largeCommunities: z.array(text(parseLargeCommunity)).optional(),
};

const ExtraNetwork = z.union([
  prefix,
  z.strictObject({
    prefix,
    toNodes: z.boolean().default(true).describe('Tell other nodes too. External peers are always told.'),
    ...attributes,
  }),
]);

const Aggregate = z.union([
  prefix,
  z.strictObject({
    prefix,
    summaryOnly: z
      .boolean()
      .default(true)
      .describe('Do not announce the addresses inside, but for those of traffic policy Local. Default true.'),
    ...attributes,
  }),
]);

const Egress = z.strictObject({
  enabled: z.boolean().default(true).describe("What pods send outside the cluster carries the node's address."),
  exclude: ranges.describe('Destinations outside that see pods by their own addresses.'),
});

const Cni = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe("Write pod networks and MTU into the CNI configuration, and keep the pods' bridge."),
  file: z
    .string()
    .min(1)
    .optional()
    .describe('Default: $KUBE_ROUTER_CNI_CONF_FILE, or /etc/cni/net.d/10-kuberouter.conf.'),
  bridge: z
    .string()
    .regex(/^[\w.-]{1,15}$/, { message: "a link's name has up to 15 letters, digits and . - _ only" })
    .default('kube-bridge')
    .describe("Name of the pods' bridge."),
  autoMtu: z
    .boolean()
    .default(true)
    .describe('MTU of bridge and CNI configuration: that of the link of the node, less what tunnels add.'),
  mtu: z.int().min(68).max(65535).optional().describe('This MTU instead.'),
  bridgeNetfilter: z
    .boolean()
    .default(true)
    .describe('Packets between pods on the same bridge pass the firewall too, where the kernel has br_netfilter.'),
  forward: z
    .enum(['accept', 'report', 'off'])
    .default('accept')
    .describe("A foreign firewall that drops pods' packets is told to let them through, or only reported."),
});

const SourceDestCheck = z.strictObject({
  disable: z.boolean().default(true).describe('Run hook, if there is one.'),
  hook: z
    .string()
    .min(1)
    .optional()
    .describe('Command for sh, run once: tells a cloud to let this machine forward packets.'),
});

const Pool = z.strictObject({
  name: z.string().min(1).describe('What services name it by, and messages.'),
  ranges: z.array(prefix).min(1).describe('Where its addresses are from.'),
  namespaces: z.array(z.string().min(1)).optional().describe('Only for services of these. Default: of all.'),
  labels: z.record(z.string(), z.string()).optional().describe('Only for services with all of these. Default: any.'),
  automatic: z.boolean().default(true).describe('False: give out only what services ask for. Default true.'),
});

const Lease = z.strictObject({
  namespace: z.string().min(1).optional().describe('Default: $POD_NAMESPACE, or kube-system.'),
  name: z.string().min(1).default('peerage-loadbalancer').describe('Default peerage-loadbalancer.'),
});

const LoadBalancer = z.strictObject({
  defaultClass: z.boolean().default(true).describe('Give addresses to services without a loadBalancerClass too.'),
  classes: z
    .array(z.string().min(1))
    .default([...BALANCER_CLASSES])
    .describe('Values of loadBalancerClass that mean us. Default kube-router, default, peerage.'),
  pools: z
    .array(Pool)
    .superRefine(distinct('name', pool => pool.name))
    .default([])
    .describe('In order of preference. Default: one of all services.loadBalancerIpRanges.'),
  lease: Lease.prefault({}).describe('The Lease by which agents elect the one that gives addresses out.'),
});

const Health = z.strictObject({
  port: portOrNone.default(HEALTH_PORT).describe('Port of /healthz and /readyz; 0: none. Default 20244.'),
  address: address.or(z.literal('')).default('').describe('Address to listen on. Default: all.'),
});

const Metrics = z.strictObject({
  port: portOrNone.default(0).describe('Port of metrics for Prometheus; 0: none. Default 0.'),
  address: address.or(z.literal('')).default('').describe('Address to listen on. Default: all.'),
  path: z
    .string()
    .regex(/^\/\S*$/, { message: 'must begin with /' })
    .default('/metrics')
    .describe('Default /metrics.'),
});

const Edge = z.strictObject({
  addresses: z.array(address).default([]).describe('Addresses of this host to speak BGP from.'),
  subnets: ranges.describe('Networks behind this host.'),
  ask: z
    .strictObject({ ipv4: z.int().min(1).max(32).optional(), ipv6: z.int().min(1).max(128).optional() })
    .refine(({ ipv4, ipv6 }) => ipv4 !== undefined || ipv6 !== undefined, { message: 'asks for nothing' })
    .optional()
    .describe('Prefix lengths of subnets to ask the cluster for, beside those.'),
});

const KubernetesShape = z.strictObject({
  nodeName: z
    .string()
    .min(1)
    .optional()
    .describe('Name of the Node object that is this machine. Default: --node-name, $NODE_NAME, the host name.'),
  kubeconfig: z.string().min(1).optional().describe("How to reach the API server. Default: the pod's service account."),
  apiServer: z
    .string()
    .regex(/^https?:\/\/\S+$/, { message: 'must be a URL, such as https://10.0.0.5:6443' })
    .optional()
    .describe('Address of the API server. Default: that of kubeconfig.'),
  cacheSyncTimeout: z
    .number()
    .positive()
    .default(60)
    .describe('Seconds for the first complete reading of the cluster; longer counts as degraded. Default 60.'),
  run: Run.prefault({}).describe('Which parts run.'),
  role: z
    .enum(['node', 'edge'])
    .default('node')
    .describe('edge: a host outside the cluster, without a Node object. Default node.'),
  edge: Edge.prefault({}).describe('Of a host outside the cluster.'),
  edgeSubnets: ranges.describe('Ranges that hosts outside the cluster are given the subnets from that they ask for.'),
  ipv4: z.boolean().default(true).describe('IPv4, where the node has it.'),
  ipv6: z.boolean().default(true).describe('IPv6, where the node has it.'),
  mesh: z.boolean().default(true).describe('Set up iBGP sessions with other nodes.'),
  fullMesh: z
    .boolean()
    .default(true)
    .describe(
      "All nodes are one AS. False: a node's AS is in its annotation kube-router.io/node.asn, and equal ones peer.",
    ),
  meshAsn: Router.shape.asn.optional().describe('AS number of the sessions between nodes. Default: router.asn.'),
  meshPeer: PeerGroup.omit({ asn: true, localAddress: true, localAsn: true })
    .default({})
    .describe('Values for the sessions between nodes, as in a peer group.'),
  bgpPort: port.default(DEFAULT_PORT).describe('Port that nodes listen on, and connect to each other on. Default 179.'),
  generateRouterId: z
    .boolean()
    .default(false)
    .describe("Make the router id from the node's address instead of taking its IPv4 address."),
  externalPeers: z
    .array(ExternalPeer)
    .superRefine(distinct('address', peer => plainAddress(peer.address)))
    .default([])
    .describe("Routers that every node peers with; a node's annotations add its own."),
  externalPeer: ExternalPeerValues.default({}).describe('Values for external peers that say nothing of their own.'),
  bfd: Bfd.optional().describe('BFD for external peers that say nothing of their own.'),
  overrideNextHop: z.boolean().default(false).describe('Our own address as next hop towards every external peer.'),
  reflectToExternal: z
    .boolean()
    .default(false)
    .describe('Route reflectors tell external peers what they have from nodes too.'),
  advertise: Advertise.prefault({}).describe('What is announced.'),
  services: Services.prefault({}).describe('Which addresses of services count.'),
  import: Import.prefault({}).describe('What is taken from nodes and external peers.'),
  networks: z.array(ExtraNetwork).default([]).describe('Networks to announce besides pods and services.'),
  aggregates: z
    .array(Aggregate)
    .default([])
    .describe('Prefixes announced in place of the service addresses inside, while there are any.'),
  onCordon: z
    .enum(['none', 'gracefulShutdown', 'withdrawServices'])
    .default('none')
    .describe('What becomes of announcements while the node is cordoned. Default none.'),
  overlay: OverlaySection.prefault({}).describe('Tunnels between nodes.'),
  egress: Egress.prefault({}).describe('Traffic of pods to the world outside.'),
  cni: Cni.prefault({}).describe("The pods' bridge and the CNI configuration."),
  sourceDestCheck: SourceDestCheck.prefault({}).describe('Clouds that drop packets of pods.'),
  egressAddresses: EgressAddressSection.prefault({}).describe(
    'Addresses that pods of a namespace have outside the cluster.',
  ),
  antiSpoof: AntiSpoofSection.prefault({}).describe('Pods that send from addresses of others.'),
  loadBalancer: LoadBalancer.prefault({}).describe('Addresses for services of type LoadBalancer.'),
  tenancy: z
    .enum(TENANCIES)
    .default('none')
    .describe(
      'namespace: pods of other namespaces are out of reach, but for those that are joined or global. Default none.',
    ),
  tenants: TenantsSection.prefault({}).describe('Networks of namespaces, with tenancy: namespace.'),
  proxy: ProxySection.prefault({}).describe('The service proxy.'),
  firewall: FirewallSection.prefault({}).describe('Network policies.'),
  health: Health.prefault({}).describe('Health over HTTP.'),
  metrics: Metrics.prefault({}).describe('Metrics over HTTP.'),
});

export const Kubernetes = KubernetesShape.refine(({ ipv4, ipv6 }) => ipv4 || ipv6, {
  path: ['ipv6'],
  message: 'neither IPv4 nor IPv6 is left',
})
  .refine(({ run, role }) => !run.loadBalancer || role === 'node', {
    path: ['run', 'loadBalancer'],
    message: 'a host outside the cluster gives out no addresses: leave it false',
  })
  .refine(({ run, role }) => run.router || role === 'node', {
    path: ['run', 'router'],
    message: 'a host outside the cluster only routes: leave it true',
  })
  .refine(({ run, egressAddresses }) => run.router || egressAddresses.ranges.length === 0, {
    path: ['egressAddresses', 'ranges'],
    message:
      'an egress address is announced by the router, which does not run: leave them out, or leave run.router true',
  })
  .refine(({ run, role }) => !run.firewall || role === 'node', {
    path: ['run', 'firewall'],
    message: 'a host outside the cluster has no pods to protect: leave it false',
  })
  .refine(({ tenancy, role }) => tenancy === 'none' || role === 'node', {
    path: ['tenancy'],
    message: 'a host outside the cluster has no pods to keep apart: leave it none',
  })
  .refine(({ role, edge }) => role === 'node' || edge.addresses.length > 0, {
    path: ['edge', 'addresses'],
    message: 'is missing: a host outside the cluster has no Node object to take its addresses from',
  })
  .refine(({ role, edge }) => role === 'edge' || isEmptyEdge(edge), {
    path: ['edge'],
    message: 'is for role: edge only',
  })
  .refine(hasAddresses, {
    path: ['run', 'loadBalancer'],
    message: 'there is nothing to give out: name ranges in services.loadBalancerIpRanges, or loadBalancer.pools',
  });
export type Kubernetes = z.infer<typeof Kubernetes>;

function isEmptyEdge({ addresses, subnets, ask }: z.infer<typeof Edge>): boolean {
  return addresses.length + subnets.length === 0 && ask === undefined;
}

function hasAddresses({ run, services, loadBalancer }: z.infer<typeof KubernetesShape>): boolean {
  return !run.loadBalancer || services.loadBalancerIpRanges.length + loadBalancer.pools.length > 0;
}
