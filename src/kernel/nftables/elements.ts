/**
 * Elements of nf_tables sets and maps as text: the octets that registers hold, as latin1. Equal elements are equal strings, so
 * what is wanted and what the kernel has compare without being parsed.
 */

import {
  dottedIpv4,
  formatIpv4,
  formatIpv6,
  ipv4,
  maskWord,
  parseAddress,
  type IpAddress,
  type IpPrefix,
} from '../../core/ip.js';
import type { RuleVerdict } from './expressions.js';
import type { WireElement } from './messages.js';

/** Protocols with ports at the same place. */
export type PortProtocol = 'TCP' | 'UDP' | 'SCTP';

/** IANA protocol numbers. */
export const PROTOCOL_NUMBERS: Readonly<Record<PortProtocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Four octets, or sixteen. */
export function addressOctets(address: IpAddress): string {
  return address.version === 4 ? wordOctets(address.value) : address.words.map(wordOctets).join('');
}

/** Octets of an address in text. @throws RangeError */
export function addressOfText(text: string): string {
  const plain = dottedIpv4(text);
  if (plain !== undefined) return wordOctets(plain);
  const address = parseAddress(text);
  if (!address.ok) throw new RangeError(address.error);
  return addressOctets(address.value);
}

/** A port in network order, padded to a register. */
export function portOctets(port: number): string {
  return String.fromCharCode(port >>> 8, port & 255, 0, 0);
}

/** `address . protocol . port`, the key of most maps. @param address octets; of zeros: a node port */
export function endpointOctets(address: string, protocol: PortProtocol, port: number): string {
  return `${address}${String.fromCharCode(PROTOCOL_NUMBERS[protocol], 0, 0, 0)}${portOctets(port)}`;
}

const SLOT = new Uint32Array(1);
const SLOT_OCTETS = new Uint8Array(SLOT.buffer);
/** A number as `numgen` leaves it in its register: in host order. */
export function slotOctets(slot: number): string {
  SLOT[0] = slot;
  return String.fromCharCode(SLOT_OCTETS[0]!, SLOT_OCTETS[1]!, SLOT_OCTETS[2]!, SLOT_OCTETS[3]!);
}

/** First and last address of a prefix. */
export function rangeOctets({ address, length }: IpPrefix): readonly [first: string, last: string] {
  const last: IpAddress =
    address.version === 4
      ? ipv4(lastOf(address.value, length))
      : {
          version: 6,
          words: [
            lastOf(address.words[0], length),
            lastOf(address.words[1], length - 32),
            lastOf(address.words[2], length - 64),
            lastOf(address.words[3], length - 96),
          ],
        };
  return [addressOctets(address), addressOctets(last)];
}

function lastOf(word: number, length: number): number {
  return (word | ~maskWord(length)) >>> 0;
}

function wordOctets(word: number): string {
  return String.fromCharCode(word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255);
}

/** Names one element of one map of the table; the reconciler's key. */
export type ElementKey = string;

/** @param keyEnd of sets with intervals: the last field's value where the range ends */
export function elementKey(set: string, key: string, keyEnd = ''): ElementKey {
  return `${set} ${key}${keyEnd}`;
}

/** Name of the set that an element is in. */
export function setOf(key: ElementKey): string {
  return key.slice(0, key.indexOf(' '));
}

/** The octets of an element's key, and of the end of its range. */
export function keyOctets(key: ElementKey): string {
  return key.slice(key.indexOf(' ') + 1);
}

/** The reconciler's value of what the kernel has, or what it shall have: octets, or a verdict in words. */
export function elementText(value: WireElement['value']): string {
  if (value === undefined || typeof value === 'string') return value ?? '';
  return value.kind === 'goto' || value.kind === 'jump' ? `${value.kind} ${value.chain}` : value.kind;
}

/** The verdict behind the words. */
export function verdictOfText(text: string): RuleVerdict {
  const [kind, chain = ''] = text.split(' ');
  if (kind === 'goto' || kind === 'jump') return { kind, chain };
  return { kind: kind === 'drop' || kind === 'continue' ? kind : 'return' };
}

/** `10.96.0.1 tcp 80`, for messages. @param octets begins with `address . protocol . port` */
export function describeEndpoint(octets: string, family: 4 | 6): string {
  const size = family === 4 ? 4 : 16;
  const view = new DataView(Uint8Array.from(octets, c => c.charCodeAt(0)).buffer);
  if (octets.length < size + 8) return describeAddress(view, family);
  const protocol = Object.entries(PROTOCOL_NUMBERS).find(([, number]) => number === view.getUint8(size))?.[0];
  return `${describeAddress(view, family)} ${protocol?.toLowerCase() ?? view.getUint8(size)} ${view.getUint16(size + 4)}`;
}

/** @param view at least the octets of one address */
function describeAddress(view: DataView, family: 4 | 6): string {
  if (view.byteLength < (family === 4 ? 4 : 16)) return '?';
  if (family === 4) return formatIpv4(view.getUint32(0));
  return formatIpv6([view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)]);
}
