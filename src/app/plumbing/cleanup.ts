/**
 * Takes off the machine what this program put there, and nothing else: what is ours is told by its marks (protocol of routes
 * and rules, names and aliases of links, name of the table, comments, the note in the CNI file), so that it can be
 * done by any later process. Impure.
 */

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Ownership } from '../../fib/ownership.js';
import { createOverlayTarget } from '../../fib/overlay/overlayTarget.js';
import type { OverlayObject } from '../../fib/overlay/overlayTypes.js';
import type { FouPort, FouPorts } from '../../kernel/fou.js';
import { describeErrno, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import type { LegacyIptables } from '../../kernel/legacyForward.js';
import type { Nft } from '../../kernel/nft.js';
import { writeRoute, type Route } from '../../kernel/routes.js';
import { AF_INET, AF_INET6 } from '../../kernel/rtnetlink.js';
import { sysctlName, type Switches } from '../../kernel/sysctl.js';
import { EGRESS_ADDRESS_TABLE } from '../../policy/egress/egressTable.js';
import { BRIDGE_TABLE, ROUTED_TABLE } from '../../policy/antiSpoof/spoofTables.js';
import { OFFLOAD_TABLE } from '../../policy/flowOffload/offloadTable.js';
import { TABLE as POLICY_TABLE } from '../../policy/nftables/layout.js';
import { TENANT_TABLE } from '../../policy/tenants/tenantTable.js';
import type { Leftovers } from '../../proxy/leftovers.js';
import { takeOutLimits } from '../bandwidth/openBandwidth.js';
import { STATE_FILE } from '../lastState/stateFile.js';
import { createEgressWayTarget } from '../egressAddresses/egressWayTarget.js';
import { restoreCniFile } from './cniFile.js';
import { EGRESS_TABLE } from './egress.js';
import { closeForward } from './forward.js';
import { closeLegacyForward } from './legacyForward.js';
import { readNodeLinks } from './nodeLinks.js';
import { ourRoutes } from './ourRoutes.js';
import type { NodePlumbingOptions } from './plumbingOptions.js';
import { removeBridge } from './podBridge.js';
import { restoreSwitches } from './switchMemory.js';

export interface CleanupTools {
  readonly channel: NetlinkChannel;
  readonly nft: Nft;
  readonly legacyIptables: LegacyIptables;
  readonly fou: FouPorts;
  readonly switches: Switches;
  readonly leftovers: Leftovers;
}

export interface CleanupReport {
  /** What was undone, a line each. */
  readonly done: readonly string[];
  /** What is ours and had to be left, and why. */
  readonly left: readonly string[];
}

const POLICY_TABLES = ['ip', 'ip6'].map(family => ({ family, name: POLICY_TABLE }));
const TENANT_TABLES = ['ip', 'ip6'].map(family => ({ family, name: TENANT_TABLE }));

interface Cleanup extends CleanupTools {
  readonly owner: Ownership;
  readonly options: NodePlumbingOptions;
  readonly done: (text: string) => void;
  readonly left: (text: string) => void;
}

/** What packets meet first goes first; what others stand on goes last. */
const STEPS: readonly (readonly [what: string, step: (cleanup: Cleanup) => Promise<void> | void])[] = [
  ['firewall', closeFirewall],
  ['flow offload', cleanup => deleteTables(cleanup, [OFFLOAD_TABLE])],
  ['service proxy', deleteProxy],
  ['anti-spoofing', cleanup => deleteTables(cleanup, [BRIDGE_TABLE, ROUTED_TABLE])],
  ['network policies', cleanup => deleteTables(cleanup, POLICY_TABLES)],
  ['tenants', cleanup => deleteTables(cleanup, TENANT_TABLES)],
  ['bandwidth', deleteLimits],
  ['pod egress', cleanup => deleteTables(cleanup, [EGRESS_TABLE])],
  ['egress addresses', deleteEgressAddresses],
  ['routes', deleteRoutes],
  ['overlay', deleteOverlay],
  ['bridge', deleteBridge],
  ['CNI configuration', restoreCni],
  ['kernel switches', restoreSwitchesOf],
  ['last good state', forgetLastState],
];

/** Goes on after a step that fails. @returns what was done and what was left */
export async function cleanUp(
  tools: CleanupTools,
  options: NodePlumbingOptions,
  owner: Ownership,
): Promise<CleanupReport> {
  const [done, left]: [string[], string[]] = [[], []];
  const cleanup: Cleanup = {
    ...tools,
    owner,
    options,
    done: text => done.push(text),
    left: text => left.push(text),
  };
  for (const [what, step] of STEPS) {
    try {
      await step(cleanup);
    } catch (error) {
      left.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { done, left };
}

async function closeFirewall({ nft, legacyIptables, done }: Cleanup): Promise<void> {
  for (const chain of [...(await closeForward(nft)), ...(await closeLegacyForward(legacyIptables))])
    done(`took our rules out of chain ${chain}`);
}

async function deleteTables(
  { nft, done }: Cleanup,
  tables: readonly { readonly family: string; readonly name: string }[],
): Promise<void> {
  // A kernel without bridge tables could not be asked for one.
  const chains = await nft.chains();
  for (const { family, name } of tables) {
    if (!chains.some(chain => chain.family === family && chain.table === name)) continue;
    await nft.run(`delete table ${family} ${name}\n`);
    done(`deleted nftables table ${family} ${name}`);
  }
}

async function deleteLimits({ channel, done, left }: Cleanup): Promise<void> {
  const { removed, left: others } = await takeOutLimits(channel);
  if (removed > 0) done(`took out ${removed} limits of pods`);
  for (const what of others) left(what);
}

/** The ways to holders go first: what was marked for them finds none, and the table drops it. */
async function deleteEgressAddresses(cleanup: Cleanup): Promise<void> {
  const { channel, switches, owner, done, left } = cleanup;
  const target = createEgressWayTarget({ channel, switches, protocol: owner.protocol });
  const found = await target.read();
  const failed = await target.commit({ set: new Map(), removed: found });
  if (found.size > failed.size) done(`deleted ${found.size - failed.size} parts of the tunnel for egress addresses`);
  for (const [key, reason] of failed) left(`egress addresses: ${key}: ${reason}`);
  await deleteTables(cleanup, [EGRESS_ADDRESS_TABLE]);
}

/** Of both modes: the node may have had another before the last. */
async function deleteProxy({ leftovers, done, left }: Cleanup): Promise<void> {
  for (const mode of ['nftables', 'ipvs'] as const) {
    const found = await leftovers.remove(mode);
    for (const what of found.removed) done(`deleted ${what}`);
    for (const what of found.left) left(what);
  }
}

/** Messages a batch. */
const BATCH = 1000;

async function deleteRoutes({ channel, owner, done, left }: Cleanup): Promise<void> {
  for (const family of [AF_INET, AF_INET6] as const) {
    const routes = await ourRoutes(channel, family, owner);
    const refused: string[] = [];
    for (let i = 0; i < routes.length; i += BATCH)
      refused.push(...(await deleteBatch(channel, routes.slice(i, i + BATCH))));
    const name = family === AF_INET ? 'IPv4' : 'IPv6';
    if (routes.length > refused.length)
      done(`deleted ${routes.length - refused.length} ${name} routes of protocol ${owner.protocol}`);
    if (refused.length > 0) left(`${refused.length} ${name} routes: ${refused[0] ?? ''}`);
  }
}

/** ESRCH: somebody was quicker. */
const GONE = 3;

async function deleteBatch(channel: NetlinkChannel, routes: readonly Route[]): Promise<readonly string[]> {
  const writer = new NetlinkWriter();
  for (const route of routes) writeRoute(writer, 'delete', route);
  const { errnos, texts } = await channel.transact(writer);
  return [...errnos].flatMap((errno, i) => (errno === 0 || errno === GONE ? [] : [describeErrno(errno, texts.get(i))]));
}

async function deleteOverlay({ channel, fou, owner, done, left }: Cleanup): Promise<void> {
  const target = createOverlayTarget({ channel, fou, protocol: owner.protocol });
  const found = await target.read();
  const failed = await target.commit({ set: new Map(), removed: found });
  const gone = [...found].filter(([key]) => !failed.has(key)).map(([, object]) => object);
  const devices = gone.flatMap(object => (object.kind === 'device' ? [object.device.name] : []));
  if (devices.length > 0) done(`deleted tunnels ${devices.join(', ')}`);
  const others = gone.filter(({ kind }) => kind === 'rule' || kind === 'route').length;
  if (others > 0) done(`deleted ${others} rules and routes of the overlay`);
  for (const [key, reason] of failed) left(`overlay: ${key}: ${reason}`);
  for (const { version, port } of guePorts(gone)) {
    const reason = await fou.change('close', version, port);
    if (reason === undefined) done(`closed UDP port ${port} for tunnels over IPv${version}`);
  }
}

/** Ports carry no mark of who opened them: those that our own tunnels sent to are ours. */
function guePorts(objects: readonly OverlayObject[]): readonly FouPort[] {
  const ports = objects.flatMap((object): readonly FouPort[] => {
    if (object.kind !== 'device' || object.device.tunnel.kind === 'vxlan') return [];
    const { local, gue } = object.device.tunnel;
    return gue === null ? [] : [{ version: local.version, port: gue }];
  });
  return [...new Map(ports.map(port => [`${port.version} ${port.port}`, port])).values()];
}

async function deleteBridge({ channel, options, done, left }: Cleanup): Promise<void> {
  const { name } = options.bridge;
  const removed = await removeBridge(channel, name, await readNodeLinks(channel, []));
  if (!removed.ok) left(`bridge ${name}: ${removed.error}`);
  else if (removed.value === 'removed') done(`deleted bridge ${name}`);
}

function restoreCni({ options, done, left }: Cleanup): void {
  const { file } = options.cni;
  const restored = restoreCniFile(file);
  if (!restored.ok) left(`${file}: ${restored.error}`);
  else if (restored.value !== 'untouched') done(`${restored.value} ${file}`);
}

function restoreSwitchesOf({ switches, options, done, left }: Cleanup): void {
  const { set, failures } = restoreSwitches(switches, options.stateDirectory);
  for (const [name, value] of set) done(`set ${sysctlName(name)} back to ${value}`);
  for (const [name, text] of failures) left(`${sysctlName(name)}: ${text}`);
}

/** Keys of sessions may be in it, and a later life of the node must not begin with it. */
function forgetLastState({ options, done }: Cleanup): void {
  const path = join(options.stateDirectory, STATE_FILE);
  if (!existsSync(path)) return;
  rmSync(path);
  done(`deleted ${path}`);
}
