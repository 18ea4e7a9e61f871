/** kube-router's 42 flags of its router (v2.11), with what each is here. */

import {
  addressPart,
  base64Part,
  between,
  clusterAsn,
  lasting,
  oneOf,
  peerAsns,
  ports,
  positive,
  upTo,
} from './checks.js';
import { flag, type Flag } from './flag.js';
import { bool, duration, listOf, named, numbered, text, uint, uints } from './goValues.js';

const MIN_HOLD_TIME = 3;
/** 18h12m16s, which kube-router allows, is one more than fits the field (RFC 4271 section 4.2). */
const MAX_HOLD_TIME = 65536;
const HOLD_TIME_FIELD = 65535;
/** Twelve bits (RFC 4724 section 3). */
const MAX_RESTART_TIME = 4095;
const MAX_DEFERRAL_TIME = 18 * 3600;
const FIRST_FREE_PORT = 1024;

const SESSIONS: readonly Flag[] = [
  flag('run-router', bool, {
    group: 'Cluster',
    default: 'true',
    meaning: 'route: speak BGP and install routes to the pods of other nodes',
    target: 'kubernetes.run.router',
  }),
  flag('enable-ibgp', bool, {
    group: 'BGP',
    default: 'true',
    meaning: 'peer with other nodes of the same AS',
    target: 'kubernetes.mesh',
  }),
  flag('nodes-full-mesh', bool, {
    group: 'BGP',
    default: 'true',
    meaning: "all nodes are one AS; false: a node's AS is in its annotation node.asn, and equal ones peer",
    target: 'kubernetes.fullMesh',
  }),
  flag('cluster-asn', uint(32), {
    group: 'BGP',
    default: '64512',
    meaning: 'AS number of the nodes, a private one',
    target: 'router.asn',
    check: clusterAsn,
    to: asn => (asn === 0 ? undefined : asn),
  }),
  flag('router-id', named('id', text), {
    group: 'BGP',
    default: "the node's IPv4 address",
    meaning: 'BGP identifier, or "generate": made from the address of the node',
    check: id =>
      id === '' || id === 'generate' || isIpv4(id) ? undefined : 'is neither an IPv4 address nor "generate"',
  }),
  flag('bgp-port', uint(32), {
    group: 'BGP',
    default: '179',
    meaning: 'port that nodes listen on and connect to each other on',
    target: 'kubernetes.bgpPort',
    check: between(1, 65535),
  }),
  flag('bgp-holdtime', duration, {
    group: 'Peers',
    default: '90s',
    meaning: 'hold time of external peers, 3s to 18h12m16s',
    target: 'kubernetes.externalPeer.holdTime',
    check: lasting(MIN_HOLD_TIME, MAX_HOLD_TIME),
    to: seconds => Math.min(Math.floor(seconds), HOLD_TIME_FIELD),
  }),
  flag('bgp-graceful-restart', bool, {
    group: 'BGP',
    default: 'false',
    ownDefault: 'true',
    meaning: 'peers and kernel keep routes over a restart (RFC 4724)',
  }),
  flag('bgp-graceful-restart-time', duration, {
    group: 'BGP',
    default: '90s',
    meaning: 'how long peers keep our routes while we are away',
    check: upTo(MAX_RESTART_TIME),
    to: Math.ceil,
  }),
  flag('bgp-graceful-restart-deferral-time', duration, {
    group: 'BGP',
    default: '6m',
    ownDefault: '2m',
    meaning: 'after a restart, how long to wait for the routes of peers that have the capability',
    check: upTo(MAX_DEFERRAL_TIME),
  }),
];

const PEERS: readonly Flag[] = [
  flag('peer-router-ips', listOf('addresses', addressPart), {
    group: 'Peers',
    default: 'none',
    meaning: 'external peers of every node',
    target: 'kubernetes.externalPeers',
  }),
  flag('peer-router-asns', uints, {
    group: 'Peers',
    default: 'none',
    meaning: 'their AS numbers, one for each',
    check: peerAsns,
  }),
  flag('peer-router-ports', uints, {
    group: 'Peers',
    default: '179',
    meaning: 'their ports, none or one for each',
    check: ports,
  }),
  flag('peer-router-passwords', listOf('keys', base64Part, numbered), {
    group: 'Peers',
    default: 'none',
    meaning: 'their TCP-MD5 keys in base64, none or one for each; an empty one is no key',
    isSecret: true,
  }),
  flag('peer-router-passwords-file', named('file', text), {
    group: 'Peers',
    default: 'none',
    meaning: 'file with the same list on one line, read again when it changes; peer-router-passwords goes before',
  }),
  flag('peer-router-multihop-ttl', uint(8), {
    group: 'Peers',
    default: '0',
    meaning: 'TTL for external eBGP peers that are not on a shared link; counts from 2 on',
    target: 'kubernetes.externalPeer.multihop',
    to: ttl => (ttl < 2 ? undefined : ttl),
  }),
  flag('override-nexthop', bool, {
    group: 'Peers',
    default: 'false',
    meaning: 'our own address as next hop towards every external peer',
    target: 'kubernetes.overrideNextHop',
  }),
];

const BFD_NOTE = 'is noted, and no BFD session is set up yet: peers are given up by their hold time';

const BFD: readonly Flag[] = [
  flag('enable-bfd', bool, {
    group: 'Peers',
    default: 'false',
    meaning: 'BFD for external peers (noted; no session is set up yet)',
    status: 'different',
    note: BFD_NOTE,
  }),
  flag('bfd-port', uint(32), {
    group: 'Peers',
    default: '3784',
    meaning: 'UDP port of BFD',
    status: 'different',
    note: BFD_NOTE,
    check: between(1, 65535),
  }),
  flag('bfd-detection-multiplier', uint(32), {
    group: 'Peers',
    default: '3',
    meaning: 'packets that may be missed, 1 to 255',
    status: 'different',
    note: BFD_NOTE,
    check: between(1, 255),
  }),
  flag('bfd-desired-min-tx-interval', named('ms', uint(32)), {
    group: 'Peers',
    default: '1000',
    meaning: 'milliseconds between packets we send',
    status: 'different',
    note: BFD_NOTE,
    check: positive,
  }),
  flag('bfd-required-min-rx-interval', named('ms', uint(32)), {
    group: 'Peers',
    default: '1000',
    meaning: 'milliseconds between packets we can take',
    status: 'different',
    note: BFD_NOTE,
    check: positive,
  }),
];

const ANNOUNCEMENTS: readonly Flag[] = [
  flag('advertise-pod-cidr', bool, {
    group: 'Announcements',
    default: 'true',
    meaning: "tell external peers of this node's pod networks",
    target: 'kubernetes.advertise.podCidr',
  }),
  flag('advertise-cluster-ip', bool, {
    group: 'Announcements',
    default: 'false',
    meaning: 'tell external peers of cluster IPs of services',
    target: 'kubernetes.advertise.clusterIp',
  }),
  flag('advertise-external-ip', bool, {
    group: 'Announcements',
    default: 'false',
    meaning: 'tell external peers of external IPs of services',
    target: 'kubernetes.advertise.externalIp',
  }),
  flag('advertise-loadbalancer-ip', bool, {
    group: 'Announcements',
    default: 'false',
    meaning: 'tell external peers of load-balancer IPs of services',
    target: 'kubernetes.advertise.loadBalancerIp',
  }),
];

const NETWORK: readonly Flag[] = [
  flag('enable-ipv4', bool, { group: 'Node network', default: 'true', meaning: 'IPv4', target: 'kubernetes.ipv4' }),
  flag('enable-ipv6', bool, {
    group: 'Node network',
    default: 'false',
    ownDefault: 'true',
    meaning: 'IPv6, where the node has it',
    target: 'kubernetes.ipv6',
  }),
  flag('enable-overlay', bool, {
    group: 'Node network',
    default: 'true',
    meaning: 'tunnels to nodes in other subnets',
    target: 'kubernetes.overlay.enabled',
  }),
  flag('overlay-type', named('type', text), {
    group: 'Node network',
    default: 'subnet',
    meaning: 'subnet: tunnels to other subnets only; full: to every node',
    target: 'kubernetes.overlay.type',
    check: oneOf('subnet', 'full'),
  }),
  flag('overlay-encap', named('kind', text), {
    group: 'Node network',
    default: 'ipip',
    meaning: 'ipip, fou, or vxlan (which kube-router has not)',
    target: 'kubernetes.overlay.encapsulation',
    check: oneOf('ipip', 'fou', 'vxlan'),
  }),
  flag('overlay-encap-port', uint(16), {
    group: 'Node network',
    default: '5555',
    meaning: 'UDP port of fou and vxlan, from 1024 on (vxlan: 4789)',
    target: 'kubernetes.overlay.port',
    check: between(FIRST_FREE_PORT, 65535),
  }),
  flag('enable-pod-egress', bool, {
    group: 'Node network',
    default: 'true',
    meaning: "masquerade what pods send outside the cluster with the node's address",
    target: 'kubernetes.egress.enabled',
  }),
  flag('enable-cni', bool, {
    group: 'Node network',
    default: 'true',
    meaning: "write pod networks and MTU into the CNI configuration, and keep the pods' bridge",
    target: 'kubernetes.cni.enabled',
  }),
  flag('auto-mtu', bool, {
    group: 'Node network',
    default: 'true',
    meaning: 'MTU of bridge and CNI configuration from the link of the node, less what tunnels add',
    target: 'kubernetes.cni.autoMtu',
  }),
  flag('disable-source-dest-check', bool, {
    group: 'Node network',
    default: 'true',
    meaning: 'run kubernetes.sourceDestCheck.hook of the configuration file, if there is one',
    status: 'different',
    note: 'speaks to no cloud by itself: name a command in kubernetes.sourceDestCheck.hook',
    target: 'kubernetes.sourceDestCheck.disable',
  }),
];

const UPSTREAM_ONLY: readonly Flag[] = [
  flag('hostname-override', named('name', text), {
    group: 'Cluster',
    default: '$NODE_NAME, the host name',
    meaning: 'name of the Node object that is this machine; the same as --node-name',
    target: 'kubernetes.nodeName',
    to: name => (name === '' ? undefined : name),
  }),
  flag('cache-sync-timeout', duration, {
    group: 'Cluster',
    default: '1m',
    meaning: 'how long to wait for the first complete reading of the cluster before it counts as degraded',
    status: 'different',
    note: 'reports degraded health when it is over; the agent goes on instead of ending',
    target: 'kubernetes.cacheSyncTimeout',
    check: positive,
  }),
  flag('routes-sync-period', duration, {
    group: 'BGP',
    default: '5m',
    meaning: 'accepted: changes are acted upon when they come, nothing is done periodically',
    status: 'different',
    note: 'has no effect: changes are acted upon when they come, nothing is worked out periodically',
    check: positive,
  }),
  flag('injected-routes-sync-period', duration, {
    group: 'BGP',
    default: '60s',
    meaning: "how often to compare the kernel's routes with what they should be, besides acting on every change",
    target: 'fib.readInterval',
    check: positive,
  }),
  flag('gobgp-admin-address', named('address', text), {
    group: 'BGP',
    default: '127.0.0.1',
    meaning: 'accepted: there is a control socket (--control) and no admin port',
    status: 'different',
    note: 'has no effect: there is no admin port, `peerage show` uses the control socket (--control)',
  }),
  flag('gobgp-admin-port', uint(16), {
    group: 'BGP',
    default: '50051',
    meaning: 'accepted: there is a control socket (--control) and no admin port',
    status: 'different',
    note: 'has no effect: there is no admin port, `peerage show` uses the control socket (--control)',
  }),
];

export const ROUTER_FLAGS: readonly Flag[] = [
  ...SESSIONS,
  ...PEERS,
  ...BFD,
  ...ANNOUNCEMENTS,
  ...NETWORK,
  ...UPSTREAM_ONLY,
];

function isIpv4(value: string): boolean {
  return addressPart(value).ok && !value.includes(':');
}
