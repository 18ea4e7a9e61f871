import { describe, expect, test } from '@jest/globals';
import { createDeltaTable } from '../../../../src/core/deltaTable.js';
import { elementKey } from '../../../../src/kernel/nftables/elements.js';
import { TransactionError, type Transactions } from '../../../../src/kernel/nftables/transaction.js';
import { NetlinkWriter } from '../../../../src/kernel/netlink/writer.js';
import { backendsSet, layoutOf, SETS } from '../../../../src/proxy/nftables/layout.js';
import { createTableTarget, fingerprint, STRUCTURE } from '../../../../src/proxy/nftables/tableTarget.js';
import { SETTINGS } from '../../../kernel/proxyRig.js';

const LAYOUT = layoutOf(4, SETTINGS);
const BACKENDS = [0, 1, 2, 3, 4, 5].map(backendsSet);
const PER_SET = 9000;

/** A structure, and elements enough for several transactions. */
function wishes(): Map<string, string> {
  const wanted = new Map([[STRUCTURE, fingerprint(LAYOUT)]]);
  const number = (i: number): string => String.fromCharCode(0, 0, i >> 8, i & 255);
  for (let i = 0; i < PER_SET; i++) {
    wanted.set(elementKey(SETS.frontends, `${number(i)}\x06\0\0\0\0\x50\0\0`), '\0'.repeat(28));
    for (const set of BACKENDS) wanted.set(elementKey(set, `${number(0)}${number(i)}\0\0\0\0`), '\0'.repeat(8));
  }
  return wanted;
}

/** @param refuses by place, whether a transaction is refused */
async function commit(refuses: (index: number) => boolean) {
  const sent: string[] = [];
  const transactions: Transactions = {
    portId: 0,
    run: compose => {
      const writer = new NetlinkWriter();
      compose(writer);
      sent.push(Buffer.from(writer.finished()).toString('latin1'));
      return refuses(sent.length - 1) ? Promise.reject(new TransactionError('no')) : Promise.resolve();
    },
    close: () => undefined,
  };
  const channel = { dump: () => Promise.reject(new Error('not read')) } as never;
  const groupsOf = (): ReadonlyMap<string, string> => new Map();
  const target = createTableTarget(
    { table: 't', family: 4, channel, transactions, entrances: [SETS.frontends, SETS.unavailable], groupsOf },
    LAYOUT,
  );
  const table = createDeltaTable<string, string>((a, b) => a === b);
  table.want(wishes());
  return { sent, failures: await target.commit(table.delta()) };
}

/** How often an element of the set is in the transaction: each list of elements names its set once. */
const has = (octets: string, set: string): boolean => octets.includes(`${set}\0`);

describe('a table that is not there yet', () => {
  test('is written in parts, and what packets meet first comes last', async () => {
    const { sent, failures } = await commit(() => false);
    expect(failures.size).toBe(0);
    const [structure = '', ...parts] = sent;
    expect(parts.length).toBeGreaterThan(2);
    expect(has(structure, 'nat-prerouting')).toBe(true);
    expect(parts.map(part => has(part, SETS.frontends))).toEqual(parts.map((_, i) => i === parts.length - 1));
    for (const set of BACKENDS) expect(parts.filter(part => has(part, set))).toHaveLength(1);
  });

  test.each([0, 1, 2])('of which part %i is refused is written once more, as after any refusal', async index => {
    const { sent, failures } = await commit(i => i === index);
    // Without groups all stand together and are refused together; nothing is told as done.
    expect(failures.size).toBe(1 + PER_SET * (BACKENDS.length + 1));
    expect(sent.length).toBeGreaterThan(index);
  });
});
