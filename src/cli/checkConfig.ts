/** What `peerage check` does: reads a configuration as a router would, and prints what it comes to. */

import { formatConfigErrors, type ConfigError } from '../app/config/configError.js';
import { loadConfig } from '../app/config/configFile.js';
import { toEngineConfig } from '../app/config/engineConfig.js';
import { MESH_TEMPLATE, onNode, ROUTER_TEMPLATE, type AgentConfig } from '../app/kubeConfig.js';
import { loadAgentConfig } from '../app/kubeConfigFile.js';
import { formatAddress, formatPrefix, ipv4, sameAddress } from '../core/ip.js';
import { err, type Result } from '../core/result.js';
import { printFields, printList, write, type Column } from './output.js';

interface EffectivePeer {
  readonly name: string;
  readonly address: string;
  readonly asn: string;
  readonly holdTime: number;
  readonly families: string;
  readonly notes: string;
}

const COLUMNS: readonly Column<EffectivePeer>[] = [
  { head: 'PEER', value: peer => peer.name },
  { head: 'ADDRESS', value: peer => peer.address },
  { head: 'AS', align: 'right', value: peer => peer.asn },
  { head: 'HOLD', align: 'right', value: peer => String(peer.holdTime) },
  { head: 'FAMILIES', value: peer => peer.families },
  { head: '', value: peer => peer.notes },
];

const SHOWN_NETWORKS = 8;

type EngineConfig = Extract<ReturnType<typeof toEngineConfig>, { ok: true }>['value'];

/** The agent takes from its Node what the file does not say; here an address for documentation stands for it (RFC 5737). */
const ANY_ADDRESS = ipv4(0xc000_0201);
const ANY_NODE = { name: 'any-node', present: true, v4: ANY_ADDRESS, v6: undefined };

/** @returns the exit code */
export async function checkConfig(file: string, agent: boolean): Promise<number> {
  const engine = agent ? agentEngine(file) : speakerEngine(file);
  if (!engine.ok) {
    process.stderr.write(`${formatConfigErrors(engine.error)}\n`);
    return 1;
  }
  await printFields(fieldsOf(engine.value, agent));
  await write('\n');
  await printList(effectivePeers(engine.value), COLUMNS, 'table');
  return 0;
}

function speakerEngine(file: string): Result<EngineConfig, readonly ConfigError[]> {
  const loaded = loadConfig(file, false);
  return loaded.ok ? { ok: true, value: loaded.value.engine } : loaded;
}

function agentEngine(file: string): Result<EngineConfig, readonly ConfigError[]> {
  const loaded = loadAgentConfig(file);
  if (!loaded.ok) return err(loaded.error);
  const { settings } = loaded.value;
  const config = onNode(settings, ANY_NODE);
  const { mesh, externalPeers } = settings.kubernetes;
  const peers = config.peers.flatMap(peer => {
    if (peer.name === ROUTER_TEMPLATE) return externalPeers.map(external => externalLike(peer, external));
    return peer.name === MESH_TEMPLATE && !mesh ? [] : [peer];
  });
  return toEngineConfig({ ...config, peers }, false);
}

type Peer = ReturnType<typeof onNode>['peers'][number];

/** What is shown of a router that every node peers with; TTL and BFD are not. */
function externalLike(template: Peer, external: AgentConfig['kubernetes']['externalPeers'][number]): Peer {
  const { address, asn, holdTime, password } = external;
  return {
    ...template,
    name: `router/${address}`,
    address,
    asn,
    ...(holdTime === undefined ? {} : { holdTime }),
    ...(password === undefined ? {} : { password }),
  };
}

function fieldsOf(engine: EngineConfig, agent: boolean): readonly (readonly [string, string])[] {
  const endpoints = engine.listen.map(({ address, port }) => {
    return `${agent && sameAddress(address, ANY_ADDRESS) ? "the node's addresses" : formatAddress(address)} port ${port}`;
  });
  return [
    ['AS', String(engine.asn)],
    ['Listening', endpoints.join(', ') || 'nowhere'],
    ['Networks', networksText(engine)],
    ['Graceful restart', engine.gracefulRestart === undefined ? 'off' : `${engine.gracefulRestart.restartTime} s`],
  ];
}

/** The first few, and how many there are. */
function networksText({ networks }: EngineConfig): string {
  if (networks.length === 0) return 'none';
  const first = networks.slice(0, SHOWN_NETWORKS).map(network => formatPrefix(network.prefix));
  const more = networks.length - first.length;
  return [...first, ...(more > 0 ? [`… ${more} more`] : [])].join(', ');
}

function effectivePeers(engine: EngineConfig): EffectivePeer[] {
  const ranges = engine.dynamicRanges.map(range => ({
    ...range,
    name: `${range.group} (up to ${range.limit})`,
    address: formatPrefix(range.prefix),
  }));
  const peers = engine.peers.map(peer =>
    peer.name === MESH_TEMPLATE
      ? { ...peer, name: 'every other node', address: '-' }
      : { ...peer, address: formatAddress(peer.session.remote) },
  );
  return [...peers, ...ranges].map(({ name, address, session, routing }) => ({
    name,
    address,
    asn: session.remoteAsn === undefined ? 'any' : String(session.remoteAsn),
    holdTime: session.holdTime,
    families: [session.families[0] ? 'IPv4' : undefined, session.families[1] ? 'IPv6' : undefined]
      .filter(Boolean)
      .join(' '),
    notes: [
      session.password === undefined ? undefined : 'TCP-MD5',
      routing.routeReflectorClient ? 'client' : undefined,
      session.gracefulRestart === undefined ? undefined : 'graceful restart',
      routing.importPolicy === undefined ? undefined : `import ${routing.importPolicy.join(' ')}`,
      routing.exportPolicy === undefined ? undefined : `export ${routing.exportPolicy.join(' ')}`,
    ]
      .filter(Boolean)
      .join(', '),
  }));
}
