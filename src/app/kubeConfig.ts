/** The agent's part of the configuration, and what a node adds to it: the same file serves every node of a cluster. */

import { z } from 'zod';
import { formatAddress, formatIpv4, type IpAddress } from '../core/ip.js';
import { servedCluster, type OwnNode } from '../routing/intent.js';
import { Kubernetes } from './config/kubernetesSchema.js';
import { Router, speakerShape, type SpeakerConfig } from './config/schema.js';

/** First of the two-octet private AS numbers (RFC 6996), kube-router's default too. */
const DEFAULT_ASN = 64512;

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
  const routerId = id ?? routerIdOf(own, kubernetes.generateRouterId);
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
      routerTemplate(config, router.asn),
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
function routerTemplate({ kubernetes }: AgentConfig, asn: number): SpeakerConfig['peers'][number] {
  // Routing gives each session its own TTL; in the template, which is of our own AS, it would be a mistake.
  const values = { ...kubernetes.externalPeer, multihop: undefined };
  return { ...values, name: ROUTER_TEMPLATE, address: '192.0.2.254', asn, announce: 'own' };
}

/** The templates stand behind the file's last peer: a mistake in one is one in kubernetes.meshPeer or externalPeer. */
export function meshPath(path: string, settings: AgentConfig): string {
  const { length } = settings.peers;
  return path
    .replace(`peers[${length}]`, 'kubernetes.meshPeer')
    .replace(`peers[${length + 1}]`, 'kubernetes.externalPeer');
}

function routerIdOf({ v4, v6 }: OwnNode, isGenerated: boolean): string | undefined {
  if (v4 !== undefined) return isGenerated ? idOf(octetsOf(v4)) : formatAddress(v4);
  return v6 === undefined ? undefined : idOf(octetsOf(v6));
}

/**
 * A router id made from an address: FNV-1a over its octets, the same after every restart. Any number but 0 will do
 * (RFC 6286), as long as it is unique within the AS.
 */
function idOf(octets: readonly number[]): string {
  const hash = octets.reduce((sum, octet) => Math.imul(sum ^ octet, 0x0100_0193) >>> 0, 0x811c_9dc5);
  return formatIpv4(hash === 0 ? 1 : hash);
}

function octetsOf(address: IpAddress): readonly number[] {
  const words: readonly number[] = address.version === 4 ? [address.value] : address.words;
  return words.flatMap(word => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
}

function textOf(address: IpAddress | undefined): string | undefined {
  return address === undefined ? undefined : formatAddress(address);
}

function endpointOf(address: IpAddress, port: number): string {
  return address.version === 4 ? `${formatAddress(address)}:${port}` : `[${formatAddress(address)}]:${port}`;
}
