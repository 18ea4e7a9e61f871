/** Attribute blocks as values and back, for policies: what is encoded is read again by the scanner itself. */

import type { AttributeBlocks } from '../attributeBlocks.js';
import type { PathAttribute } from '../attributes.js';
import type { ScanContext } from '../scanContext.js';
import { UpdateRecord } from '../updateRecord.js';
import { decodeBlock, encodeAttributes } from './attributeCodec.js';
import { scanUpdate } from './updateScanner.js';

/** Withdrawn Routes Length and Total Path Attribute Length. */
const FIXED_FIELDS = 4;
/** What Total Path Attribute Length can say. */
const MAX_ATTRIBUTES = 0xffff;

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
};

export function createAttributeBlocks(): AttributeBlocks {
  const record = new UpdateRecord();
  return {
    decode: (octets, start, length) => decodeBlock(octets, start, start + length),
    encode: attributes => {
      const body = bodyOf(attributes);
      if (body === undefined) return undefined;
      const error = scanUpdate(body, 0, body.length, ANY_PEER, record);
      if (error !== undefined || record.verdict !== 'accept' || record.problems.length > 0)
        throw new Error(`attributes of our own are malformed: ${error?.message ?? record.problems.join(', ')}`);
      return record;
    },
  };
}

/** The body of an UPDATE with these attributes and no prefix. */
function bodyOf(attributes: readonly PathAttribute[]): Uint8Array | undefined {
  const octets = encodeAttributes(attributes, { fourOctetAs: true });
  if (octets.length > MAX_ATTRIBUTES) return undefined;
  const body = new Uint8Array(FIXED_FIELDS + octets.length);
  body[2] = octets.length >>> 8;
  body[3] = octets.length;
  body.set(octets, FIXED_FIELDS);
  return body;
}
