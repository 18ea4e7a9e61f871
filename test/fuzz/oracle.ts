/**
 * RFC 4271 section 6.3 and RFC 7606 once more, slow and plain, sharing nothing with the scanner or the attribute table:
 * splits an UPDATE into a list, asks each rule of each attribute, and takes the strongest answer.
 */

import type { ScanContext } from '../../src/bgp/scanContext.js';

export interface Outcome {
  readonly verdict: 'accept' | 'treatAsWithdraw' | 'reset';
  /** UPDATE subcodes that are right for this reset; several when several things are wrong. */
  readonly subcodes: ReadonlySet<number>;
}

type Fault = readonly ['discard' | 'withdraw' | 'reset', number];
interface Attribute {
  readonly flags: number;
  readonly code: number;
  readonly value: readonly number[];
}

const MP_REACH = 14;
const MP_UNREACH = 15;
const OPTIONAL_ERROR = 9;

export function outcomeOf(body: readonly number[], context: ScanContext): Outcome {
  const parts = split(body);
  if (parts === undefined) return reset([1]);
  const { withdrawn, list, nlri } = parts;
  if (!isRun(withdrawn, 32, context.addPathReceive[0]) || !isRun(nlri, 32, context.addPathReceive[0]))
    return reset([10]);
  const { attributes, overrun } = splitAttributes(list);
  const faults: Fault[] = overrun ? [['withdraw', 1]] : [];
  const seen = new Map<number, Attribute>();
  for (const attribute of attributes) {
    if (seen.has(attribute.code)) {
      if (attribute.code === MP_REACH || attribute.code === MP_UNREACH) faults.push(['reset', 1]);
      continue;
    }
    seen.set(attribute.code, attribute);
    const fault = faultOf(attribute, context, nlri.length > 0);
    if (fault !== undefined) faults.push(fault);
  }
  const resets = faults.filter(f => f[0] === 'reset').map(f => f[1]);
  if (resets.length > 0) return reset(resets);
  faults.push(
    ...whole(
      seen,
      nlri,
      context,
      faults.some(f => f[0] === 'withdraw'),
    ),
  );
  const withdraws = faults.filter(f => f[0] === 'withdraw').map(f => f[1]);
  if (withdraws.length === 0) return { verdict: 'accept', subcodes: new Set() };
  const reachable = nlri.length > 0 || (seen.get(MP_REACH)?.value ?? []).length > reachHead(seen.get(MP_REACH));
  return reachable ? { verdict: 'treatAsWithdraw', subcodes: new Set() } : reset(withdraws);
}

const reset = (subcodes: readonly number[]): Outcome => ({ verdict: 'reset', subcodes: new Set(subcodes) });
const word = (o: readonly number[], at: number): number => o[at]! * 256 + o[at + 1]!;
const long = (o: readonly number[], at: number): number => word(o, at) * 65536 + word(o, at + 2);
const reachHead = (a: Attribute | undefined): number => 5 + (a?.value[3] ?? 0);

function split(body: readonly number[]): { withdrawn: number[]; list: number[]; nlri: number[] } | undefined {
  if (body.length < 4) return undefined;
  const first = 2 + word(body, 0);
  if (first + 2 > body.length) return undefined;
  const second = first + 2 + word(body, first);
  if (second > body.length) return undefined;
  return { withdrawn: body.slice(2, first), list: body.slice(first + 2, second), nlri: body.slice(second) };
}

function splitAttributes(list: readonly number[]): { attributes: Attribute[]; overrun: boolean } {
  const attributes: Attribute[] = [];
  let rest = list;
  while (rest.length > 0) {
    const head = (rest[0]! & 16) === 0 ? 3 : 4;
    if (rest.length < head) return { attributes, overrun: true };
    const length = head === 3 ? rest[2]! : word(rest, 2);
    if (rest.length < head + length) return { attributes, overrun: true };
    attributes.push({ flags: rest[0]!, code: rest[1]!, value: rest.slice(head, head + length) });
    rest = rest.slice(head + length);
  }
  return { attributes, overrun: false };
}

function isRun(nlri: readonly number[], bits: number, addPath: boolean): boolean {
  let rest = nlri;
  while (rest.length > 0) {
    if (addPath) {
      if (rest.length < 5) return false;
      rest = rest.slice(4);
    }
    const octets = Math.ceil(rest[0]! / 8);
    if (rest[0]! > bits || rest.length < 1 + octets) return false;
    rest = rest.slice(1 + octets);
  }
  return true;
}

/** What must be there, and be first: only asked when something of ours is announced. */
function whole(
  seen: ReadonlyMap<number, Attribute>,
  nlri: readonly number[],
  context: ScanContext,
  bad: boolean,
): Fault[] {
  const classic = nlri.length > 0 && context.families[0];
  const reach = seen.get(MP_REACH);
  const family = reach === undefined ? -1 : familyOf(reach.value);
  const multi = family >= 0 && context.families[family as 0 | 1] && reach!.value.length > reachHead(reach);
  if (!classic && !multi) return [];
  const faults: Fault[] = [];
  for (const code of classic ? [1, 2, 3] : [1, 2]) if (!seen.has(code)) faults.push(['withdraw', 3]);
  if (context.ebgp && context.enforceFirstAs && !bad && faults.length === 0) {
    const path = seen.get(2)!.value;
    const first = path[0] !== 2 ? 0 : context.fourOctetAs ? long(path, 2) : firstWide(seen, path);
    if (first !== context.remoteAsn) faults.push(['withdraw', 11]);
  }
  return faults;
}

/** The first AS on a two-octet session: from AS4_PATH only when that is as long as AS_PATH and counts at all. */
function firstWide(seen: ReadonlyMap<number, Attribute>, path: readonly number[]): number {
  const four = seen.get(17);
  const narrow = word(path, 2);
  if (four === undefined || (four.flags & 0xc0) !== 0xc0 || !isPath(four.value, 4, true) || four.value.length === 0)
    return narrow;
  const aggregator = seen.get(7);
  const wider = seen.get(18);
  const usable = (a: Attribute | undefined, length: number): a is Attribute =>
    a !== undefined && (a.flags & 0xc0) === 0xc0 && a.value.length === length;
  if (
    usable(aggregator, 6) &&
    word(aggregator.value, 0) !== 23456 &&
    word(aggregator.value, 0) !== 0 &&
    usable(wider, 8) &&
    long(wider.value, 0) !== 0
  )
    return narrow;
  const segments = segmentsOf(four.value, 4).filter(s => s.type <= 2);
  const total = (list: readonly Segment[]): number =>
    list.reduce((sum, s) => sum + (s.type === 2 ? s.asns.length : s.type === 1 ? 1 : 0), 0);
  if (segments.length === 0 || total(segments) !== total(segmentsOf(path, 2))) return narrow;
  return segments[0]!.type === 2 ? segments[0]!.asns[0]! : 0;
}

interface Segment {
  readonly type: number;
  readonly asns: readonly number[];
}

function segmentsOf(path: readonly number[], width: 2 | 4): Segment[] {
  const segments: Segment[] = [];
  for (let at = 0; at < path.length; at += 2 + path[at + 1]! * width) {
    const asns = Array.from({ length: path[at + 1]! }, (_, i) =>
      width === 2 ? word(path, at + 2 + 2 * i) : long(path, at + 2 + 4 * i),
    );
    segments.push({ type: path[at]!, asns });
  }
  return segments;
}

function isPath(path: readonly number[], width: 2 | 4, confederation: boolean): boolean {
  let rest = path;
  while (rest.length > 0) {
    const [type = 0, count = 0] = rest;
    if (rest.length < 2 || count === 0 || rest.length < 2 + count * width) return false;
    if (type < 1 || type > (confederation ? 4 : 2)) return false;
    for (let i = 0; i < count; i++)
      if ((width === 2 ? word(rest, 2 + 2 * i) : long(rest, 2 + 4 * i)) === 0) return false;
    rest = rest.slice(2 + count * width);
  }
  return true;
}

function familyOf(value: readonly number[]): number {
  if (value[2] !== 1) return -1;
  return word(value, 0) === 1 ? 0 : word(value, 0) === 2 ? 1 : -1;
}

/** Optional and Transitive as they must be, by code. */
const FLAGS: Readonly<Record<number, number>> = {
  1: 0x40, 2: 0x40, 3: 0x40, 4: 0x80, 5: 0x40, 6: 0x40, 7: 0xc0, 8: 0xc0, 9: 0x80, 10: 0x80, 14: 0x80, 15: 0x80,
  16: 0xc0, 17: 0xc0, 18: 0xc0, 25: 0xc0, 26: 0x80, 32: 0xc0, 35: 0xc0,
}; // prettier-ignore

function faultOf({ flags, code, value }: Attribute, context: ScanContext, hasNlri: boolean): Fault | undefined {
  const expected = FLAGS[code];
  if (expected === undefined) return (flags & 0x80) === 0 ? ['reset', 2] : undefined;
  if (context.ebgp && [5, 9, 10, 26].includes(code)) return undefined;
  if ((flags & 0xc0) !== expected) {
    if (code === MP_REACH || code === MP_UNREACH) return ['reset', OPTIONAL_ERROR];
    return code === 26 ? ['discard', 4] : ['withdraw', 4];
  }
  const length = value.length;
  const mustBe = (n: number): Fault | undefined => (length === n ? undefined : ['withdraw', 5]);
  const unitsOf = (n: number): Fault | undefined => (length > 0 && length % n === 0 ? undefined : ['withdraw', 5]);
  switch (code) {
    case 1:
      return mustBe(1) ?? (value[0]! > 2 ? ['withdraw', 6] : undefined);
    case 2:
      return isPath(value, context.fourOctetAs ? 4 : 2, !context.ebgp) ? undefined : ['withdraw', 11];
    case 3:
      return mustBe(4) ?? (hasNlri && !isHost(value, context) ? ['withdraw', 8] : undefined);
    case 4:
    case 5:
    case 9:
    case 35:
      return mustBe(4);
    case 8:
    case 10:
      return unitsOf(4);
    case 16:
      return unitsOf(8);
    case 25:
      return unitsOf(20);
    case 32:
      return unitsOf(12);
    case MP_REACH:
      return reachFault(value, context);
    case MP_UNREACH:
      return unreachFault(value, context);
    default:
      // ATOMIC_AGGREGATE, AGGREGATOR, AS4_PATH, AS4_AGGREGATOR and AIGP are discarded at worst.
      return undefined;
  }
}

function reachFault(value: readonly number[], context: ScanContext): Fault | undefined {
  const bad: Fault = ['reset', OPTIONAL_ERROR];
  if (value.length < 5 || value.length < 5 + value[3]!) return bad;
  const family = familyOf(value);
  if (family < 0 || !context.families[family as 0 | 1]) return undefined;
  const hop = value.slice(4, 4 + value[3]!);
  const lengths = family === 1 ? [16, 32] : context.extendedNextHop[0] ? [4, 16, 32] : [4];
  if (!lengths.includes(hop.length)) return bad;
  if (!isRun(value.slice(5 + hop.length), family === 0 ? 32 : 128, context.addPathReceive[family as 0 | 1])) return bad;
  return isHost(hop, context) ? undefined : ['withdraw', OPTIONAL_ERROR];
}

function unreachFault(value: readonly number[], context: ScanContext): Fault | undefined {
  if (value.length < 3) return ['reset', OPTIONAL_ERROR];
  const family = familyOf(value);
  if (family < 0 || !context.families[family as 0 | 1]) return undefined;
  const whole = isRun(value.slice(3), family === 0 ? 32 : 128, context.addPathReceive[family as 0 | 1]);
  return whole ? undefined : ['reset', OPTIONAL_ERROR];
}

function isHost(hop: readonly number[], { loopbackNextHops }: ScanContext): boolean {
  if (hop.length === 4) return hop[0] !== 0 && hop[0]! < 224 && (loopbackNextHops || hop[0] !== 127);
  if (!loopbackNextHops && hop.slice(0, 15).every(octet => octet === 0) && hop[15] === 1) return false;
  const linkLocal = hop.length === 32 && hop[16] === 0xfe && (hop[17]! & 0xc0) === 0x80;
  return hop[0] !== 0xff && (linkLocal || hop.slice(0, 16).some(octet => octet !== 0));
}
