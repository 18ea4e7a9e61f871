import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EDITABLE_KINDS, type EditableKind, type Replacements } from '../../../../src/bgp/attributeBlocks.js';
import type { PathAttribute } from '../../../../src/bgp/attributes.js';
import { AttrFlag } from '../../../../src/bgp/updateRecord.js';
import { createAttributeBlocks } from '../../../../src/bgp/wire/attributeBlocks.js';
import { attributeCode, decodeBlock, encodeAttributes } from '../../../../src/bgp/wire/attributeCodec.js';
import { anyAttribute } from '../../../vectors/arbitraries.js';

const blocks = createAttributeBlocks();

/** Kinds that never stand in a block: they belong to the message, or were merged in. */
const OUTSIDE = new Set(['nextHop', 'mpReach', 'mpUnreach', 'as4Path', 'as4Aggregator', 'unknown']);

const attributes = fc
  .uniqueArray(anyAttribute, { maxLength: 8, selector: attributeCode })
  .map(list => list.filter(({ kind }) => !OUTSIDE.has(kind)));

function isEditable(attribute: PathAttribute): attribute is Extract<PathAttribute, { readonly kind: EditableKind }> {
  return EDITABLE_KINDS.some(kind => kind === attribute.kind);
}

const replacements = fc
  .tuple(
    fc.uniqueArray(anyAttribute, { maxLength: 4, selector: ({ kind }) => kind }),
    fc.subarray([...EDITABLE_KINDS], { maxLength: 2 }),
  )
  .map(([list, removed]): Replacements => ({
    ...Object.fromEntries(list.filter(isEditable).map(attribute => [attribute.kind, attribute])),
    ...Object.fromEntries(removed.map(kind => [kind, null])),
  }));

/** A block with something before and behind it. */
function placed(list: readonly PathAttribute[]): { readonly octets: Uint8Array; readonly length: number } {
  const block = encodeAttributes(list, { fourOctetAs: true });
  const octets = new Uint8Array(block.length + 20).fill(0xff);
  octets.set(block, 10);
  return { octets, length: block.length };
}

describe('blocks of attributes, for policies', () => {
  test('have the attribute that is looked for, or not', () => {
    fc.assert(
      fc.property(attributes, fc.constantFrom(...EDITABLE_KINDS), (list, kind) => {
        const { octets, length } = placed(list);
        expect(blocks.find(kind, octets, 10, length)).toEqual(list.find(attribute => attribute.kind === kind));
      }),
    );
  });

  test('come out of a rewriting with what was replaced, everything else as it was, and in order', () => {
    fc.assert(
      fc.property(attributes, replacements, (list, replaced) => {
        const { octets, length } = placed(list);
        const record = blocks.rewrite(octets, 10, length, replaced)!;
        const kept = list.filter(attribute => !isEditable(attribute) || replaced[attribute.kind] === undefined);
        const added = EDITABLE_KINDS.flatMap(kind => replaced[kind] ?? []);
        const expected = [...kept, ...added].sort((a, b) => attributeCode(a) - attributeCode(b));
        expect(decodeBlock(record.block, 0, record.blockLength)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  test('bring their decision fields along', () => {
    const { octets, length } = placed([
      { kind: 'origin', origin: 'egp' },
      { kind: 'asPath', segments: [{ type: 'sequence', asns: [1, 2] }] },
      { kind: 'med', med: 5 },
    ]);
    const record = blocks.rewrite(octets, 10, length, {
      asPath: { kind: 'asPath', segments: [{ type: 'sequence', asns: [7, 7, 1, 2] }] },
      med: null,
      localPref: { kind: 'localPref', localPref: 300 },
      communities: { kind: 'communities', communities: [0xffffff01] },
    })!;
    expect(record).toMatchObject({ origin: 1, asPathLength: 4, neighborAs: 7, localPref: 300 });
    expect(record.flags).toBe(AttrFlag.localPref | AttrFlag.noExport);
  });

  test('that fit no message any more are refused', () => {
    const large = Array.from({ length: 5000 }, (_, i) => [i, i, i] as const);
    const { octets, length } = placed([{ kind: 'largeCommunities', communities: large }]);
    const communities = Array.from({ length: 5000 }, (_, i) => i);
    expect(blocks.rewrite(octets, 10, length, { communities: { kind: 'communities', communities } })).toBeUndefined();
    expect(blocks.rewrite(octets, 10, length, {})).toBeDefined();
  });
});
