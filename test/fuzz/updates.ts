/** UPDATEs from a small world of prefixes and attributes, so that they meet each other in a RIB; some of them spoiled. */

import type { PathAttribute } from '../../src/bgp/attributes.js';
import type { ScanContext } from '../../src/bgp/scanContext.js';
import { encodeAttributes } from '../../src/bgp/wire/attributeCodec.js';
import { Ipv4 } from '../../src/core/ip.js';
import { join } from '../vectors/hex.js';
import { EVERY_ATTRIBUTE } from './corpus.js';
import { mutant } from './mutate.js';
import type { Random } from './random.js';

const HEADER = 19;
/** Optional attributes that may come along; the rest is made for each UPDATE. */
const EXTRAS = EVERY_ATTRIBUTE.filter(
  a => !['origin', 'asPath', 'nextHop', 'med', 'mpReach', 'mpUnreach'].includes(a.kind),
);

/** The body of an UPDATE for a session: mostly valid, sometimes spoiled, sometimes from the corpus of captures. */
export function anyUpdate(random: Random, context: ScanContext): Uint8Array {
  if (random.oneIn(6)) return mutant(random).slice(HEADER);
  const valid = validUpdate(random, context);
  if (!random.oneIn(4)) return valid;
  for (let times = 1 + random.below(2); times > 0 && valid.length > 0; times--) {
    valid[random.below(valid.length)] = random.oneIn(2) ? random.below(256) : random.below(34);
  }
  return valid;
}

function validUpdate(random: Random, context: ScanContext): Uint8Array {
  const withdrawn = random.oneIn(3) ? prefixes(random, 0, context) : new Uint8Array();
  const attributes = random.oneIn(8) ? [] : attributesOf(random, context);
  const classic = attributes.some(a => a.kind === 'nextHop');
  const nlri = classic ? prefixes(random, 0, context) : new Uint8Array();
  const list = encodeAttributes(attributes, context);
  return join(sized(withdrawn), sized(list), nlri);
}

const sized = (octets: Uint8Array): Uint8Array => join(Uint8Array.of(octets.length >> 8, octets.length & 0xff), octets);

function attributesOf(random: Random, context: ScanContext): PathAttribute[] {
  const hops = Array.from({ length: random.below(4) }, () => 65010 + random.below(5));
  const asns = context.ebgp ? [context.remoteAsn, ...hops] : hops;
  const list: PathAttribute[] = [
    { kind: 'origin', origin: random.pick(['igp', 'egp', 'incomplete']) },
    { kind: 'asPath', segments: asns.length === 0 ? [] : [{ type: 'sequence', asns }] },
  ];
  const announce = random.below(3);
  if (announce !== 1) list.push({ kind: 'nextHop', address: Ipv4(0x0a000001 + random.below(4)) });
  if (announce !== 0) list.push(reach(random, context));
  if (random.oneIn(4)) list.push({ kind: 'mpUnreach', afi: 2, safi: 1, nlri: prefixes(random, 1, context) });
  if (random.oneIn(2)) list.push({ kind: 'med', med: random.below(3) });
  for (const extra of EXTRAS) if (random.oneIn(6)) list.push(extra);
  return list;
}

function reach(random: Random, context: ScanContext): PathAttribute {
  const global = Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 + random.below(3));
  const link = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 + random.below(3));
  const nextHop = random.oneIn(2) ? global : join(global, link);
  return { kind: 'mpReach', afi: 2, safi: 1, nextHop, nlri: prefixes(random, 1, context) };
}

/** A few prefixes of many lengths; host bits may be set. */
function prefixes(random: Random, family: 0 | 1, context: ScanContext): Uint8Array {
  const one = (): Uint8Array => {
    const length = random.pick(family === 0 ? [0, 8, 9, 16, 24, 25, 32] : [0, 32, 33, 48, 64, 127, 128]);
    const address =
      family === 0
        ? [10, random.below(2), random.below(2), random.below(4)]
        : [0x20, 1, 0x0d, 0xb8, random.below(2), random.below(4)];
    const octets = Uint8Array.from({ length: (length + 7) >> 3 }, (_, i) => address[i] ?? 0);
    const pathId = context.addPathReceive[family] ? Uint8Array.of(0, 0, 0, random.below(3)) : new Uint8Array();
    return join(pathId, Uint8Array.of(length), octets);
  };
  return join(...Array.from({ length: 1 + random.below(4) }, one));
}
