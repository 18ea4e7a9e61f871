/** Denied packets to connections by name, the most recent ones kept. Pure. */

import type { DenialView } from '../../api/policyView.js';
import { addressText } from '../../kernel/conntrackTuple.js';
import type { LoggedPacket } from '../../kernel/nflog.js';
import type { DenialCause, LoggedDecision } from '../../policy/policyFirewall.js';
import { policyTitleOf } from '../../policy/policyText.js';
import type { Direction } from '../../policy/policyTypes.js';
import type { PolicyWorld } from '../../policy/policyWorld.js';

/** Who has which address. */
export type NamedWorld = Pick<PolicyWorld, 'pods' | 'nodes'>;

export interface DeniedConnections {
  /**
   * @param at milliseconds since 1970
   * @returns those that are to be told: not told yet, or long ago
   */
  take(packets: readonly LoggedPacket[], at: number): readonly DenialView[];
  /** The last seen first. */
  recent(): readonly DenialView[];
}

export interface DeniedOptions {
  /** Undefined: the prefix is of others, or of what is gone. */
  readonly decisionOf: (prefix: string) => LoggedDecision | undefined;
  /** Undefined before the first objects. */
  readonly world: () => NamedWorld | undefined;
}

/** So many are kept, each a few hundred octets. */
const MOST = 500;
/** Milliseconds until one that goes on is told again. */
const TOLD_AGAIN = 60_000;

interface Denied {
  view: DenialView;
  toldAt: number;
}

export function createDeniedConnections({ decisionOf, world }: DeniedOptions): DeniedConnections {
  /** The last seen is the last. */
  const known = new Map<string, Denied>();
  return {
    take: (packets, at) => {
      // Names cost a walk over the cluster's pods: what goes on has them already, until it is told again.
      const isDue = (packet: LoggedPacket): boolean =>
        at - (known.get(keyOf(packet))?.toldAt ?? -Infinity) >= TOLD_AGAIN;
      const names = namesOf(packets.filter(isDue), world());
      const told = new Map<string, Denied>();
      for (const packet of packets) {
        const { prefix, header } = packet;
        const decision = decisionOf(prefix);
        if (decision === undefined) continue;
        const key = keyOf(packet);
        const denied = nextOf(known.get(key), decision, header, names, at);
        known.delete(key);
        known.set(key, denied);
        if (at - denied.toldAt >= TOLD_AGAIN) {
          denied.toldAt = at;
          told.set(key, denied);
        }
      }
      for (const key of known.keys()) {
        if (known.size <= MOST) break;
        known.delete(key);
      }
      return [...told.values()].map(({ view }) => view);
    },
    recent: () => [...known.values()].reverse().map(({ view }) => view),
  };
}

/** Equal for packets of one kind from one end to one port of the other. */
function keyOf({ prefix, header }: LoggedPacket): string {
  return `${prefix} ${header.source}${header.destination}${header.protocol} ${header.ports?.destination}`;
}

type Header = LoggedPacket['header'];

function nextOf(
  before: Denied | undefined,
  { direction, cause }: LoggedDecision,
  header: Header,
  names: ReadonlyMap<string, string>,
  at: number,
): Denied {
  const last = new Date(at).toISOString();
  if (before !== undefined) {
    const { view } = before;
    // Another pod may have the address by now.
    const [from, to] = [names.get(view.fromAddress) ?? view.from, names.get(view.toAddress) ?? view.to];
    return { ...before, view: { ...view, from, to, last, packets: view.packets + 1 } };
  }
  const [fromAddress, toAddress] = [addressText(header.source), addressText(header.destination)];
  const view: DenialView = {
    first: last,
    last,
    from: names.get(fromAddress) ?? fromAddress,
    fromAddress,
    to: names.get(toAddress) ?? toAddress,
    toAddress,
    port: portOf(header),
    direction,
    reason: causeText(cause, direction),
    packets: 1,
  };
  return { view, toldAt: -Infinity };
}

const PROTOCOLS = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [58, 'icmpv6'],
  [132, 'sctp'],
]);

function portOf({ protocol, ports }: Header): string {
  const name = PROTOCOLS.get(protocol) ?? `protocol ${protocol}`;
  return ports === undefined ? name : `${ports.destination}/${name}`;
}

/** In a sentence without its subject. */
export function causeText(cause: DenialCause, direction: Direction): string {
  switch (cause.kind) {
    case 'rule':
      return `${policyTitleOf(cause.policy)} spec.${direction}[${cause.rule}] denies it`;
    case 'isolated':
      return `selected by ${cause.policies.map(policyTitleOf).join(', ')}, and no ${direction} rule holds`;
    case 'closed':
      return 'what governs the pod could not be written: nothing is let through';
    case 'unknown':
      return 'no known pod of this node has the address';
  }
}

/** One walk over the cluster's pods for all packets of a batch. @returns names by address */
function namesOf(packets: readonly LoggedPacket[], world: NamedWorld | undefined): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  if (world === undefined || packets.length === 0) return names;
  const asked = new Set(packets.flatMap(({ header }) => [addressText(header.source), addressText(header.destination)]));
  for (const [name, { addresses }] of world.nodes)
    for (const address of addresses) if (asked.has(address)) names.set(address, `node ${name}`);
  for (const { key, state, addresses } of world.pods.values())
    if (state === 'governed') for (const address of addresses) if (asked.has(address)) names.set(address, key);
  return names;
}
