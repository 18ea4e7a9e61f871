/** Ways to spoil a message: single bits and octets, lengths that lie, cuts, splices, attributes moved about. */

import { join } from '../vectors/hex.js';
import { CORPUS } from './corpus.js';
import type { Random } from './random.js';

const HEADER = 19;
const UPDATE = 2;
/** Values at which things go wrong. */
const EDGES = [0, 1, 2, 3, 4, 16, 31, 32, 33, 127, 128, 129, 254, 255];

/** How often a message is spoiled: moved attributes alone should be seen too. */
const SPOILS = [0, 0, 0, 1, 1, 2, 3];

/** A message, spoiled in one to four ways; most of the time its header still fits, so that the spoiled part is reached. */
export function mutant(random: Random): Uint8Array {
  if (random.oneIn(20)) return random.octets(random.below(200));
  let octets: Uint8Array = random.pick(CORPUS).slice();
  if (octets[18] === UPDATE && !random.oneIn(3)) octets = moveAttributes(octets, random);
  for (let times = random.pick(SPOILS); times > 0; times--) octets = spoil(octets, random);
  if (random.oneIn(8)) return octets;
  return repairHeader(octets);
}

/** A stream of a few mutants, cut into whatever the last one leaves. */
export function mutantStream(random: Random): Uint8Array {
  if (!random.oneIn(4)) return mutant(random);
  return join(...Array.from({ length: 1 + random.below(3) }, () => mutant(random)));
}

function spoil(octets: Uint8Array, random: Random): Uint8Array {
  const at =
    octets.length === 0
      ? 0
      : Math.min(
          octets.length - 1,
          random.below(4) === 0
            ? random.below(octets.length)
            : HEADER + random.below(Math.max(1, octets.length - HEADER)),
        );
  switch (random.below(8)) {
    case 0:
      octets[at] = (octets[at] ?? 0) ^ (1 << random.below(8));
      return octets;
    case 1:
      octets[at] = random.pick(EDGES);
      return octets;
    case 2:
      octets[at] = random.below(256);
      return octets;
    case 3:
      return octets.slice(0, at);
    case 4:
      return join(octets, random.octets(random.below(40)));
    case 5:
      return join(octets.slice(0, at), random.pick(CORPUS).slice(HEADER));
    case 6:
      return join(octets.slice(0, at), octets.slice(at + 1 + random.below(4)));
    default:
      return join(octets.slice(0, at), random.octets(1 + random.below(4)), octets.slice(at));
  }
}

/** Gives the message a right marker and length, as far as its type says it is one. */
function repairHeader(octets: Uint8Array): Uint8Array {
  if (octets.length < HEADER || octets.length > 65535) return octets;
  octets.fill(0xff, 0, 16);
  octets[16] = octets.length >> 8;
  octets[17] = octets.length & 0xff;
  if (octets[18] === 0 || octets[18]! > 5) octets[18] = UPDATE;
  return octets;
}

/** Repeats, drops, reorders, replaces or stretches attributes, then writes lengths that are right. */
function moveAttributes(message: Uint8Array, random: Random): Uint8Array {
  const withdrawnEnd = HEADER + 2 + u16(message, HEADER);
  const attributesEnd = withdrawnEnd + 2 + u16(message, withdrawnEnd);
  const attributes = splitAttributes(message, withdrawnEnd + 2, attributesEnd);
  for (let times = random.below(3); times > 0; times--) moveOne(attributes, random);
  const list = join(...attributes);
  return join(
    message.slice(0, withdrawnEnd),
    Uint8Array.of(list.length >> 8, list.length & 0xff),
    list,
    message.slice(attributesEnd),
  );
}

function moveOne(attributes: Uint8Array[], random: Random): void {
  const at = random.below(attributes.length + 1);
  const other = random.below(attributes.length + 1);
  const one = attributes[at];
  switch (random.below(6)) {
    case 0:
      if (one !== undefined) attributes.splice(other, 0, one);
      return;
    case 1:
      attributes.splice(at, 1);
      return;
    case 2:
      if (one !== undefined) attributes.splice(other, 0, ...attributes.splice(at, 1));
      return;
    case 3:
      attributes.splice(at, 0, randomAttribute(random));
      return;
    case 4:
      if (one !== undefined) attributes[at] = resized(one, random);
      return;
    default:
      if (one !== undefined)
        attributes[at] = Uint8Array.of(random.pick([0x40, 0x80, 0xc0, 0xe0, 0x00]) | (one[0]! & 0x10), ...one.slice(1));
  }
}

function randomAttribute(random: Random): Uint8Array {
  const value = random.octets(random.pick([0, 1, 2, 4, 6, 8, 12, 20]));
  const code = random.oneIn(3) ? random.below(256) : 1 + random.below(36);
  return Uint8Array.of(random.pick([0x40, 0x80, 0xc0, 0xe0]), code, value.length, ...value);
}

/** The same attribute with a longer or shorter value and a length that fits it. */
function resized(attribute: Uint8Array, random: Random): Uint8Array {
  const head = (attribute[0]! & 0x10) === 0 ? 3 : 4;
  const value = attribute.slice(head);
  const changed = random.oneIn(2)
    ? value.slice(0, random.below(value.length + 1))
    : join(value, random.octets(random.pick([1, 2, 4, 8, 250])));
  const flags = attribute[0]! | 0x10;
  return Uint8Array.of(flags, attribute[1]!, changed.length >> 8, changed.length & 0xff, ...changed);
}

function splitAttributes(octets: Uint8Array, start: number, end: number): Uint8Array[] {
  const attributes: Uint8Array[] = [];
  for (let at = start; at < end;) {
    const next = (octets[at]! & 0x10) === 0 ? at + 3 + octets[at + 2]! : at + 4 + u16(octets, at + 2);
    attributes.push(octets.slice(at, next));
    at = next;
  }
  return attributes;
}

function u16(octets: Uint8Array, at: number): number {
  return (octets[at]! << 8) | octets[at + 1]!;
}
