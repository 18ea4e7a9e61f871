/** The agent's part of the configuration, and what a node adds to it: the same file serves every node of a cluster. */

import { z } from 'zod';
import { formatAddress, formatIpv4, type IpAddress } from '../core/ip.js';
import { Asn } from '../bgp/asn.js';
import { servedCluster, type OwnNode } from '../routing/intent.js';
import { DEFAULT_ROUTING, type RoutingOptions } from '../routing/routingOptions.js';
import { PeerGroup, Router, speakerShape, type SpeakerConfig } from './config/schema.js';

/** First of the two-octet private AS numbers (RFC 6996), kube-router's default too. */
const DEFAULT_ASN = 64512;
const DEFAULT_PORT = 179;

export const Kubernetes = z.strictObject({
  nodeName: z
    .string()
    .min(1)
    .optional()
    .describe('Name of the Node object that is this machine. Default: --node-name, $NODE_NAME, the host name.'),
  mesh: z.boolean().default(true).describe('Set up an iBGP session with every other node.'),
  meshAsn: Router.shape.asn.optional().describe('AS number of the sessions between nodes. Default: router.asn.'),
  meshPeer: PeerGroup.omit({ asn: true, localAddress: true, localAsn: true })
    .default({})
    .describe('Values for the sessions between nodes, as in a peer group.'),
  bgpPort: z
    .int()
    .min(1)
    .max(65535)
    .default(DEFAULT_PORT)
    .describe('Port that nodes listen on, and connect to each other on. Default 179.'),
});

/** The agent's configuration: the speaker's, in which everything may be left out, and a section for Kubernetes. */
export const AgentConfig = z.strictObject({
  ...speakerShape,
  router: Router.extend({
    asn: Router.shape.asn.default(DEFAULT_ASN),
    gracefulRestart: Router.shape.gracefulRestart.unwrap().default(true),
  }).prefault({}),
  kubernetes: Kubernetes.prefault({}).describe('Where the router is one of many nodes of a cluster.'),
});
export type AgentConfig = z.infer<typeof AgentConfig>;

/** What the configuration says of routing inside the cluster and to the routers around it. */
export function routingOptions({ router, kubernetes }: AgentConfig): RoutingOptions {
  const { mesh, meshAsn = router.asn, bgpPort } = kubernetes;
  return { ...DEFAULT_ROUTING, mesh, clusterAsn: Asn(meshAsn), bgpPort };
}

/** Names of the peers whose values all sessions with nodes, and with external routers, are made from. They never reach the engine. */
export const MESH_TEMPLATE = 'node/template';
export const ROUTER_TEMPLATE = 'router/template';

/**
 * Completes the agent's configuration with what the node knows: its name, router id, addresses to listen on and for NEXT_HOP. What
 * the file says goes before. The last two peers are the templates of sessions with nodes and with routers.
 */
export function onNode(config: AgentConfig, own: OwnNode): SpeakerConfig {
  const { kubernetes, ...speaker } = config;
  const { id, listen, addresses, ...router } = { ...speaker.router, asn: own.asn ?? speaker.router.asn };
  const { ipv4 = textOf(own.v4), ipv6 = textOf(own.v6) } = addresses;
  const endpoints = (own.listen ?? [own.v4, own.v6]).flatMap(address =>
    address ? [endpointOf(address, kubernetes.bgpPort)] : [],
  );
  const clusterId = servedCluster(own);
  const listens = listen.length > 0 ? listen : endpoints;
  const routerId = id ?? routerIdOf(own);
  return {
    ...speaker,
    router: {
      // Peers show the node by the name it has in the cluster; a name in the capability is short.
      hostname: own.name.slice(0, 64),
      ...(clusterId === undefined ? {} : { clusterId: formatIpv4(clusterId) }),
      ...router,
      listen: listens,
      addresses: { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) },
      ...(routerId === undefined ? {} : { id: routerId }),
    },
    // A node is no transit: other nodes tell the ToR of their pods themselves.
    peerGroups: Object.fromEntries(
      Object.entries(speaker.peerGroups).map(([name, group]) => [name, { announce: 'own' as const, ...group }]),
    ),
    peers: [
      ...speaker.peers.map(peer => (peer.group === undefined ? { announce: 'own' as const, ...peer } : peer)),
      meshTemplate(config, own),
      routerTemplate(router.asn),
    ],
  };
}

function meshTemplate({ router, kubernetes }: AgentConfig, own: OwnNode): SpeakerConfig['peers'][number] {
  const asn = own.asn ?? kubernetes.meshAsn ?? router.asn;
  // The addresses of both templates are of a range for documentation (RFC 5737): they are no peer's.
  return {
    port: kubernetes.bgpPort,
    ...kubernetes.meshPeer,
    name: MESH_TEMPLATE,
    address: '192.0.2.255',
    asn,
    localAsn: asn,
  };
}

/** A node is no transit: routers are told its own networks only, and of those what the policies let through. */
function routerTemplate(asn: number): SpeakerConfig['peers'][number] {
  return { name: ROUTER_TEMPLATE, address: '192.0.2.254', asn, announce: 'own' };
}

/** The mesh's template stands behind the file's last peer: a mistake in it is one in kubernetes.meshPeer. */
export function meshPath(path: string, settings: AgentConfig): string {
  return path.replace(`peers[${settings.peers.length}]`, 'kubernetes.meshPeer');
}

function routerIdOf({ v4, v6 }: OwnNode): string | undefined {
  if (v4 !== undefined) return formatAddress(v4);
  return v6?.version === 6 ? formatIpv4(idFromWords(v6.words)) : undefined;
}

/**
 * A router id for a node without an IPv4 address: FNV-1a over the octets of its IPv6 address, the same after every
 * restart. Any number but 0 will do (RFC 6286), as long as it is unique within the AS.
 */
function idFromWords(words: readonly number[]): number {
  const octets = words.flatMap(word => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
  const hash = octets.reduce((sum, octet) => Math.imul(sum ^ octet, 0x0100_0193) >>> 0, 0x811c_9dc5);
  return hash === 0 ? 1 : hash;
}

function textOf(address: IpAddress | undefined): string | undefined {
  return address === undefined ? undefined : formatAddress(address);
}

function endpointOf(address: IpAddress, port: number): string {
  return address.version === 4 ? `${formatAddress(address)}:${port}` : `[${formatAddress(address)}]:${port}`;
}
