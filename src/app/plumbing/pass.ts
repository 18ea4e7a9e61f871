/** One pass over the node: bridge, CNI configuration, kernel switches, firewalls of others. Every part stands for itself. Impure. */

import { execFile } from 'node:child_process';
import type { Logger } from 'pino';
import { formatAddress, formatPrefix, type IpAddress } from '../../core/ip.js';
import type { Problem } from '../../kube/problems.js';
import type { LegacyIptables } from '../../kernel/legacyForward.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { Nft } from '../../kernel/nft.js';
import { sysctlName, type Switches } from '../../kernel/sysctl.js';
import { syncCniFile } from './cniFile.js';
import { foreignFirewalls, openForward } from './forward.js';
import { openLegacyForward } from './legacyForward.js';
import { linksWith, linksWithExpiringAddresses, podMtu, readNodeLinks, type NodeLinks } from './nodeLinks.js';
import type { OwnPlumbing } from './nodeNetworks.js';
import type { NodePlumbingOptions } from './plumbingOptions.js';
import { ensureBridge } from './podBridge.js';
import { setSwitches } from './switchMemory.js';
import { wantedSwitches } from './switchPlan.js';

export interface PassFacts {
  readonly options: NodePlumbingOptions;
  /** Undefined until the own Node object has been seen. */
  readonly own: OwnPlumbing | undefined;
}

export interface PassTools {
  readonly channel: NetlinkChannel;
  readonly nft: Nft;
  readonly legacyIptables: LegacyIptables;
  readonly switches: Switches;
  readonly logger: Logger;
}

/** What one pass leaves for the next. */
export interface PassMemory {
  /** Links whose changes matter. */
  watched: ReadonlySet<string>;
  /** Firewalls of administrators, and the passes until they are looked for again. */
  firewalls: { readonly left: number; readonly complaints: readonly string[] } | undefined;
  /** What became of the hook: it is run once in a process's life. */
  hook: { readonly problem: string | undefined } | undefined;
}

export function newPass(): PassMemory {
  return { watched: new Set(), firewalls: undefined, hook: undefined };
}

interface Pass extends PassFacts, PassTools {
  readonly memory: PassMemory;
  /** The node's addresses of families in use. */
  readonly addresses: readonly IpAddress[];
  readonly links: NodeLinks;
  readonly mtu: number | null;
}

type Part = (pass: Pass) => Promise<readonly string[]> | readonly string[];

/** By subject of its problems, in the order in which they build on each other. */
const PARTS: readonly (readonly [subject: (options: NodePlumbingOptions) => string, part: Part])[] = [
  [({ bridge }) => `bridge ${bridge.name}`, keepBridge],
  [({ cni }) => cni.file, keepCniFile],
  [() => 'kernel switches', keepSwitches],
  [() => 'firewall', keepForward],
  [() => 'source/destination check', runHook],
];

/** @returns what is wrong now */
export async function runPass(memory: PassMemory, facts: PassFacts, tools: PassTools): Promise<readonly Problem[]> {
  const { options, own } = facts;
  const addresses = (own?.addresses ?? []).filter(({ version }) => (version === 4 ? options.ipv4 : options.ipv6));
  let links: NodeLinks;
  try {
    links = await readNodeLinks(tools.channel, addresses);
  } catch (error) {
    return [{ subject: 'links', text: textOf(error) }];
  }
  const mtu = podMtu(options, addresses, address => links.mtuFor(address));
  const pass: Pass = { ...facts, ...tools, memory, addresses, links, mtu };
  const problems: Problem[] = [];
  for (const [subject, part] of PARTS) {
    const texts = await attempt(() => part(pass));
    problems.push(...texts.map(text => ({ subject: subject(options), text })));
  }
  return problems;
}

/** Files, netlink and nft(8) fail for reasons outside of us, and each for itself. */
async function attempt(part: () => ReturnType<Part>): Promise<readonly string[]> {
  try {
    return await part();
  } catch (error) {
    return [textOf(error)];
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** RFC 8200 section 5. */
const LEAST_IPV6_MTU = 1280;

async function keepBridge({ options, own, channel, links, mtu, logger }: Pass): Promise<readonly string[]> {
  const { enabled, name } = options.bridge;
  if (!enabled) return [];
  const done = await ensureBridge(channel, name, mtu, links);
  if (!done.ok) return [done.error];
  if (done.value !== 'kept')
    logger.info({ bridge: name, mtu }, done.value === 'made' ? 'bridge made' : 'bridge changed');
  const hasIpv6 = options.ipv6 && (own?.podCidrs.some(({ address }) => address.version === 6) ?? false);
  return hasIpv6 && mtu !== null && mtu < LEAST_IPV6_MTU ? [`has an MTU of ${mtu}: IPv6 needs ${LEAST_IPV6_MTU}`] : [];
}

function keepCniFile({ options, own, mtu, logger }: Pass): readonly string[] {
  const { enabled, file } = options.cni;
  if (!enabled || own === undefined) return [];
  const podCidrs = own.podCidrs.filter(({ address }) => (address.version === 4 ? options.ipv4 : options.ipv6));
  if (podCidrs.length === 0) return ['is not written: the node has no pod network yet'];
  const done = syncCniFile(file, { podCidrs: podCidrs.map(formatPrefix), mtu, bridge: options.bridge.name });
  if (!done.ok) return [done.error];
  if (done.value.done !== 'kept')
    logger.info({ file, mtu, podCidrs: podCidrs.map(formatPrefix) }, 'CNI configuration written');
  return done.value.complaints;
}

function keepSwitches({ options, own, addresses, links, memory, switches, logger }: Pass): readonly string[] {
  const outward = [...new Set([...linksWith(links, addresses), ...links.tunnels])];
  memory.watched = new Set(outward);
  if (!options.sysctls) return [];
  const bridge = links.bridges.some(({ name }) => name === options.bridge.name) || options.bridge.enabled;
  const wanted = wantedSwitches(
    {
      ipv4: options.ipv4,
      ipv6: options.ipv6,
      bridge: bridge ? options.bridge.name : undefined,
      outward,
      listening: [...new Set([...linksWith(links, addresses), ...linksWithExpiringAddresses(links)])],
      ipv6Pods: own?.podCidrs.some(({ address }) => address.version === 6) ?? false,
      bridgeNetfilter: options.bridgeNetfilter,
    },
    switches,
  );
  const { set, drifted, failures } = setSwitches(switches, wanted, options.stateDirectory);
  if (set.length > 0)
    logger.info({ sysctl: set.map(([name, value]) => `${sysctlName(name)}=${value}`) }, 'kernel switches set');
  if (drifted.length > 0)
    logger.warn({ sysctl: drifted.map(sysctlName) }, 'switches were changed by somebody else; put right');
  return [...failures].map(([name, text]) => `${sysctlName(name)} cannot be set: ${text}`);
}

/** Passes from one look through all chains of the machine to the next: with a service proxy there may be tens of thousands. */
const LOOK_THROUGH = 10;

async function keepForward({ options, nft, legacyIptables, memory, logger }: Pass): Promise<readonly string[]> {
  if (options.forward === 'off') return [];
  const mayOpen = options.forward === 'accept';
  const outcomes = [
    await openForward(nft, options.bridge.name, mayOpen),
    await openLegacyForward(legacyIptables, options.bridge.name, mayOpen),
  ];
  memory.firewalls =
    memory.firewalls === undefined || memory.firewalls.left === 0
      ? { left: LOOK_THROUGH, complaints: await foreignFirewalls(nft, options.bridge.name) }
      : { ...memory.firewalls, left: memory.firewalls.left - 1 };
  const chains = outcomes.flatMap(({ opened }) => opened);
  if (chains.length > 0) logger.info({ chains }, 'firewall opened for pods');
  return [...outcomes, memory.firewalls].flatMap(({ complaints }) => complaints);
}

/** Milliseconds. */
const HOOK_TIME_LIMIT = 60_000;

async function runHook({ options, own, addresses, memory, logger }: Pass): Promise<readonly string[]> {
  const { sourceDestCheckHook: command } = options;
  if (command === undefined || own === undefined) return [];
  if (memory.hook === undefined) {
    const environment = { ...process.env, NODE_NAME: own.name, NODE_IPS: addresses.map(formatAddress).join(',') };
    memory.hook = { problem: await runShell(command, environment) };
    if (memory.hook.problem === undefined) logger.info('hook for the source/destination check has run');
  }
  return memory.hook.problem === undefined ? [] : [memory.hook.problem];
}

/** @returns why it failed */
function runShell(command: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return new Promise(resolve => {
    execFile('/bin/sh', ['-c', command], { env, timeout: HOOK_TIME_LIMIT }, (error, _out, complaint) => {
      const why = error === null ? undefined : (complaint.trim().split('\n').at(-1) ?? '') || error.message;
      resolve(why === undefined ? undefined : `the hook failed: ${why.slice(0, 300)}`);
    });
  });
}
