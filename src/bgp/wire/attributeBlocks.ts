/** Attributes in blocks as values, and blocks with some changed, for policies: what is written is read by the scanner itself. */

import { EDITABLE_KINDS, type AttributeBlocks, type EditableKind, type Replacements } from '../attributeBlocks.js';
import type { AttributeOf, PathAttribute } from '../attributes.js';
import type { ScanContext } from '../scanContext.js';
import { UpdateRecord } from '../updateRecord.js';
import { decodeAttribute, encodeAttributes } from './attributeCodec.js';
import { ATTRIBUTES } from './attributeTable.js';
import { attributeEnd, putOctets } from './blockWriter.js';
import { Flag } from './iana.js';
import { scanUpdate } from './updateScanner.js';

/** Withdrawn Routes Length and Total Path Attribute Length. */
const FIXED_FIELDS = 4;
/** What Total Path Attribute Length can say. */
const MAX_ATTRIBUTES = 0xffff;
/** Above every type code. */
const NO_CODE = 256;

const BLOCK = { fourOctetAs: true, ebgp: false } as const;

/** Whatever stands in a block was accepted from some peer: nothing is refused here for who sent it. */
const ANY_PEER: ScanContext = {
  ebgp: false,
  fourOctetAs: true,
  families: [true, true],
  addPathReceive: [false, false],
  extendedNextHop: [true, true],
  localAsn: 0,
  remoteAsn: 0,
  localId: 0,
  clusterId: 0,
  enforceFirstAs: false,
  loopbackNextHops: true,
};

export function createAttributeBlocks(): AttributeBlocks {
  const record = new UpdateRecord();
  const body = new Uint8Array(FIXED_FIELDS + MAX_ATTRIBUTES);
  return {
    find,
    rewrite: (octets, start, length, replacements) => {
      const end = write(octets, start, start + length, replacements, body);
      if (end === undefined) return undefined;
      body[2] = (end - FIXED_FIELDS) >>> 8;
      body[3] = end - FIXED_FIELDS;
      const error = scanUpdate(body, 0, end, ANY_PEER, record);
      if (error !== undefined || record.verdict !== 'accept' || record.problems.length > 0)
        throw new Error(`attributes of our own are malformed: ${error?.message ?? record.problems.join(', ')}`);
      return record;
    },
  };
}

function find<K extends EditableKind>(
  kind: K,
  octets: Uint8Array,
  start: number,
  length: number,
): AttributeOf<K> | undefined {
  const { code } = ATTRIBUTES[kind];
  for (let at = start; at < start + length;) {
    const end = attributeEnd(octets, at);
    if (octets[at + 1] === code) {
      const value = at + ((octets[at]! & Flag.extendedLength) === 0 ? 3 : 4);
      const attribute = decodeAttribute(code, octets[at]! & ~Flag.extendedLength, octets, value, end, BLOCK);
      if ('verdict' in attribute) throw new Error(`attribute block: ${attribute.reason}`);
      return isOf(kind, attribute) ? attribute : undefined;
    }
    at = end;
  }
  return undefined;
}

function isOf<K extends EditableKind>(kind: K, attribute: PathAttribute): attribute is AttributeOf<K> {
  return attribute.kind === kind;
}

/** Writes the body of an UPDATE with these attributes and no prefix. @returns its end, undefined when it has no room */
function write(
  octets: Uint8Array,
  start: number,
  end: number,
  replacements: Replacements,
  body: Uint8Array,
): number | undefined {
  let to = FIXED_FIELDS;
  let waiting = 0;
  for (let at = start; at <= end;) {
    const code = at === end ? NO_CODE : octets[at + 1]!;
    for (; waiting < EDITABLE_KINDS.length && codeOf(waiting) <= code; waiting++) {
      const attribute = replacements[EDITABLE_KINDS[waiting]!];
      if (attribute === undefined || attribute === null) continue;
      const encoded = encodeAttributes([attribute], BLOCK);
      if (to + encoded.length > body.length) return undefined;
      body.set(encoded, to);
      to += encoded.length;
    }
    if (at === end) return to;
    const next = attributeEnd(octets, at);
    const isReplaced =
      waiting > 0 && codeOf(waiting - 1) === code && replacements[EDITABLE_KINDS[waiting - 1]!] !== undefined;
    if (!isReplaced) {
      if (to + next - at > body.length) return undefined;
      to = putOctets(body, to, octets, at, next);
    }
    at = next;
  }
  return to;
}

function codeOf(index: number): number {
  return ATTRIBUTES[EDITABLE_KINDS[index]!].code;
}
