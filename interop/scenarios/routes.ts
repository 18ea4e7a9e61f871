/** Routes and their attributes, both ways and through. */

import type { Origin } from '../daemons/daemon.js';
import { expectEqual, expectHolds } from '../expect.js';
import { has, hasNot, sessionsUp, THIRD_ADDRESS, until, type Rig, type Scenario } from '../rig.js';
import { exchange, OURS, THEIRS } from './checks.js';

/** More than fits two octets. */
const BIG = { us: 4_200_000_001, them: 4_200_000_002, third: 4_200_000_003 };
const COLOURED: Origin = {
  prefix: THEIRS.v4,
  communities: ['65002:11', '65002:12'],
  extended: ['rt:65002:21'],
  large: ['65002:31:32', '4200000000:33:34'],
};

export const ROUTES: readonly Scenario[] = [
  { name: 'IPv4 both ways', run: (rig: Rig): Promise<void> => exchange(rig, 'v4') },
  { name: 'IPv6 both ways, session over IPv4', run: (rig: Rig): Promise<void> => exchange(rig, 'v6') },
  { name: 'IPv6 both ways, session over IPv6', over6: true, run: (rig: Rig): Promise<void> => exchange(rig, 'v6') },
  {
    name: 'withdraw both ways',
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await rig.us.originate([]);
      await hasNot(rig.them, OURS.v4);
      await rig.them.originate([]);
      await hasNot(rig.us, THEIRS.v4);
    },
  },
  {
    name: '4-octet AS, ends and transit',
    us: { asn: BIG.us },
    them: { asn: BIG.them },
    third: { made: 'peerage', of: 'them', asn: BIG.third },
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await rig.third().originate([{ prefix: '10.3.0.0/24' }]);
      expectEqual('path through them', (await has(rig.us, '10.3.0.0/24')).asPath, `${BIG.them} ${BIG.third}`);
      expectEqual('path at the third', (await has(rig.third(), OURS.v4)).asPath, `${BIG.them} ${BIG.us}`);
    },
  },
  {
    name: 'communities of three kinds through us',
    third: { made: 'same', of: 'us', asn: 65003 },
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig, [rig.us, THIRD_ADDRESS]);
      await rig.them.originate([COLOURED]);
      for (const daemon of [rig.us, rig.third()]) {
        const seen = await has(daemon, COLOURED.prefix);
        expectEqual('communities', [...seen.communities].sort(), COLOURED.communities);
        expectEqual('extended communities', seen.extended, COLOURED.extended);
        expectEqual('large communities', [...seen.large].sort(), [...COLOURED.large!].sort());
      }
      expectEqual('path at the third', (await has(rig.third(), COLOURED.prefix)).asPath, '65001 65002');
    },
  },
  {
    name: 'communities of three kinds through them',
    third: { made: 'peerage', of: 'them', asn: 65003 },
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig, [rig.them, THIRD_ADDRESS]);
      await rig.us.originate([{ ...COLOURED, prefix: OURS.v4 }]);
      const seen = await has(rig.third(), OURS.v4);
      expectEqual('communities', [...seen.communities].sort(), COLOURED.communities);
      expectEqual('extended communities', seen.extended, COLOURED.extended);
      expectEqual('large communities', [...seen.large].sort(), [...COLOURED.large!].sort());
    },
  },
  {
    name: 'communities of ours at theirs',
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig);
      const communities = { communities: ['65001:1'], large: ['65001:2:3'], extended: ['rt:65001:4'] };
      await rig.us.originate([{ prefix: OURS.v4, ...communities }]);
      const seen = await has(rig.them, OURS.v4);
      expectEqual('communities', seen.communities, ['65001:1']);
      expectEqual('large communities', seen.large, ['65001:2:3']);
      expectEqual('extended communities', seen.extended, ['rt:65001:4']);
    },
  },
  {
    name: 'two tables of 50,000 through them',
    third: { made: 'peerage', of: 'them', asn: 65003 },
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig, [rig.them, THIRD_ADDRESS]);
      const [ours, others] = [table(30), table(40)];
      await rig.us.originate(ours.map(prefix => ({ prefix })));
      await rig.third().originate(others.map(prefix => ({ prefix })));
      const all = [...ours, ...others].sort();
      for (const daemon of [rig.us, rig.third(), rig.them]) {
        // Asked once: of a busy daemon the same answer may not come in time again.
        let held: ReadonlySet<string> = new Set();
        const hasAll = async (): Promise<boolean> => (held = await daemon.prefixes()).size >= all.length;
        await until(`both tables at ${daemon.plan.host}`, hasAll, TABLE_PATIENCE);
        expectHolds(`${daemon.plan.host} holds exactly these`, [...held].sort().join() === all.join());
      }
    },
  },
];

/** Milliseconds for a table to pass through a slow daemon on a busy machine. */
const TABLE_PATIENCE = 200_000;

/** 50,000 prefixes of 24 bits from this first octet on. */
function table(first: number): string[] {
  return Array.from({ length: 50_000 }, (_, i) => `${first}.${i >>> 8}.${i & 255}.0/24`);
}
