/** What every make of BGP speaker is tried with, one list for all of them. */

import { sleep } from '../lab/topology/commands.js';
import { signalAll, type Origin } from './daemons/daemon.js';
import { expectEqual, expectHolds } from './expect.js';
import { has, hasNot, sessionsUp, THIRD_ADDRESS, until, type Rig, type Scenario } from './rig.js';

const OURS = { v4: '10.1.0.0/24', v6: 'fd01::/64' };
const THEIRS = { v4: '10.2.0.0/24', v6: 'fd02::/64' };
/** More than fits two octets. */
const BIG = { us: 4_200_000_001, them: 4_200_000_002, third: 4_200_000_003 };
const COLOURED: Origin = {
  prefix: THEIRS.v4,
  communities: ['65002:11', '65002:12'],
  extended: ['rt:65002:21'],
  large: ['65002:31:32', '4200000000:33:34'],
};
const MESSAGE = 'maintenance until noon';

async function exchange(rig: Rig, family: 'v4' | 'v6'): Promise<void> {
  await sessionsUp(rig);
  await rig.us.originate([{ prefix: OURS[family] }]);
  await rig.them.originate([{ prefix: THEIRS[family] }]);
  expectEqual('our AS in their route', (await has(rig.them, OURS[family])).asPath, String(rig.us.plan.asn));
  expectEqual('their AS in our route', (await has(rig.us, THEIRS[family])).asPath, String(rig.them.plan.asn));
}

/** A session that must not come up, watched for a while. */
async function staysDown({ us, theirAddress, ourAddress, them }: Rig): Promise<void> {
  for (let i = 0; i < 10; i++) {
    await sleep(500);
    expectHolds('no session in our eyes', !(await us.established(theirAddress)));
    expectHolds('no session in their eyes', !(await them.established(ourAddress)));
  }
}

async function bothDown({ us, them, theirAddress, ourAddress }: Rig): Promise<void> {
  await until('the end of the session in our eyes', async () => !(await us.established(theirAddress)));
  await until('the end of the session in their eyes', async () => !(await them.established(ourAddress)));
}

async function count(rig: Rig, direction: 'received' | 'sent', kind: string): Promise<number> {
  return (await rig.us.own.peer(rig.theirAddress)).messages[direction][kind] ?? 0;
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'session, we connect', them: { passive: true }, run: sessionsUp },
  { name: 'session, they connect', us: { passive: true }, run: sessionsUp },
  {
    name: 'session, both connect',
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig);
      await sleep(3000);
      await sessionsUp(rig);
      expectEqual('times established', (await rig.us.own.peer(rig.theirAddress)).timesEstablished, 1);
    },
  },
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
    name: 'communities of ours at theirs',
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig);
      await rig.us.originate([{ prefix: OURS.v4, communities: ['65001:1'], large: ['65001:2:3'] }]);
      const seen = await has(rig.them, OURS.v4);
      expectEqual('communities', seen.communities, ['65001:1']);
      expectEqual('large communities', seen.large, ['65001:2:3']);
    },
  },
  {
    name: 'MD5, same password',
    needs: ['md5'],
    us: { password: 'sesame-42' },
    them: { password: 'sesame-42' },
    run: (rig: Rig): Promise<void> => exchange(rig, 'v4'),
  },
  { name: 'MD5, other password', needs: ['md5'], us: { password: 'one' }, them: { password: 'two' }, run: staysDown },
  { name: 'MD5, only with us', needs: ['md5'], us: { password: 'one' }, run: staysDown },
  {
    name: 'hold time, they are silent',
    holdTime: 6,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      signalAll(rig.them.program, 'SIGSTOP');
      await until('our end of the session', async () => !(await rig.us.established(rig.theirAddress)));
      await hasNot(rig.us, THEIRS.v4);
      expectHolds('we say why', /hold/i.test(await rig.us.reasons(rig.theirAddress)));
      signalAll(rig.them.program, 'SIGCONT');
      await has(rig.us, THEIRS.v4);
    },
  },
  {
    name: 'hold time, we are silent',
    holdTime: 6,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      rig.us.program.signal('SIGSTOP');
      await until('their end of the session', async () => !(await rig.them.established(rig.ourAddress)));
      await hasNot(rig.them, OURS.v4);
      rig.us.program.signal('SIGCONT');
      await sessionsUp(rig);
      await has(rig.them, OURS.v4);
    },
  },
  {
    name: 'shutdown with a message, by us',
    needs: ['shutdownMessage'],
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await rig.us.shutdown(rig.theirAddress, MESSAGE);
      await bothDown(rig);
      await until('our message at theirs', async () => (await rig.them.reasons(rig.ourAddress)).includes(MESSAGE));
      await rig.us.enable(rig.theirAddress);
      await sessionsUp(rig);
    },
  },
  {
    name: 'shutdown with a message, by them',
    needs: ['shutdownMessage'],
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await rig.them.shutdown(rig.ourAddress, MESSAGE);
      await bothDown(rig);
      await until('their message with us', async () => (await rig.us.reasons(rig.theirAddress)).includes(MESSAGE));
      await rig.them.enable(rig.ourAddress);
      await sessionsUp(rig);
      await has(rig.us, THEIRS.v4);
    },
  },
  {
    name: 'route refresh, we ask',
    needs: ['refresh', 'answerRefresh'],
    // FRR answers only once it has sent End-of-RIB, which it does with graceful restart alone.
    gracefulRestart: true,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      const before = await count(rig, 'received', 'update');
      await until('their routes again', async () => {
        // A request before its End-of-RIB is passed over: ask until there is an answer.
        await rig.us.refresh(rig.theirAddress);
        await sleep(1000);
        return (await count(rig, 'received', 'update')) > before;
      });
      expectHolds('we asked', (await count(rig, 'sent', 'routeRefresh')) > 0);
      await sessionsUp(rig);
    },
  },
  {
    name: 'route refresh, they ask',
    needs: ['refresh', 'askRefresh'],
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      const before = await count(rig, 'sent', 'update');
      await rig.them.refresh(rig.ourAddress);
      await until('our routes again', async () => (await count(rig, 'sent', 'update')) > before);
      expectHolds('they asked', (await count(rig, 'received', 'routeRefresh')) > 0);
      await sessionsUp(rig);
    },
  },
  {
    name: 'peer killed and back',
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      signalAll(rig.them.program, 'SIGKILL');
      await rig.them.program.end('SIGKILL');
      await hasNot(rig.us, THEIRS.v4);
      await rig.them.start();
      await sessionsUp(rig);
      await has(rig.us, THEIRS.v4);
      await has(rig.them, OURS.v4);
    },
  },
  {
    name: 'peer killed and back, graceful restart',
    needs: ['gracefulRestart', 'restarter'],
    gracefulRestart: true,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      signalAll(rig.them.program, 'SIGKILL');
      await rig.them.program.end('SIGKILL');
      await until('our end of the session', async () => !(await rig.us.established(rig.theirAddress)));
      await sleep(1000);
      expectHolds('the route is kept', (await rig.us.prefixes()).has(THEIRS.v4));
      expectHolds('as stale', (await rig.us.own.peer(rig.theirAddress)).gracefulRestart.stalePaths > 0);
      await rig.them.start();
      await sessionsUp(rig);
      await until('nothing stale', async () => {
        const { gracefulRestart, received } = await rig.us.own.peer(rig.theirAddress);
        return gracefulRestart.stalePaths === 0 && received['ipv4-unicast'] > 0;
      });
      expectHolds('the route is still there', (await rig.us.prefixes()).has(THEIRS.v4));
    },
  },
  {
    name: 'we are killed and back, graceful restart',
    needs: ['gracefulRestart'],
    gracefulRestart: true,
    run: async (rig: Rig): Promise<void> => {
      await exchange(rig, 'v4');
      await rig.us.program.end('SIGKILL');
      await sleep(2000);
      expectHolds('they keep our route', (await rig.them.prefixes()).has(OURS.v4));
      await rig.us.originate([{ prefix: '10.1.9.0/24' }]);
      await rig.us.start();
      await sessionsUp(rig);
      await has(rig.them, '10.1.9.0/24');
      await hasNot(rig.them, OURS.v4);
    },
  },
  {
    name: 'route reflection by us',
    us: { reflector: true },
    them: { asn: 65001 },
    third: { made: 'same', of: 'us', asn: 65001 },
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig, [rig.us, THIRD_ADDRESS]);
      await rig.them.originate([{ prefix: THEIRS.v4 }]);
      const seen = await has(rig.third(), THEIRS.v4);
      expectEqual('ORIGINATOR_ID', seen.originatorId, rig.them.plan.address);
      expectEqual('CLUSTER_LIST', seen.clusterList, [rig.us.plan.address]);
      await rig.them.originate([]);
      await hasNot(rig.third(), THEIRS.v4);
    },
  },
  {
    name: 'route reflection by them',
    us: { asn: 65002 },
    them: { reflector: true },
    third: { made: 'peerage', of: 'them', asn: 65002 },
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig, [rig.them, THIRD_ADDRESS]);
      await rig.third().originate([{ prefix: '10.3.0.0/24' }]);
      const seen = await has(rig.us, '10.3.0.0/24');
      expectEqual('ORIGINATOR_ID', seen.originatorId, THIRD_ADDRESS);
      expectEqual('CLUSTER_LIST', seen.clusterList, [rig.them.plan.address]);
    },
  },
  {
    name: 'GTSM on both sides',
    needs: ['gtsm'],
    us: { gtsm: true },
    them: { gtsm: true },
    run: (rig: Rig): Promise<void> => exchange(rig, 'v4'),
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
        await until(
          `both tables at ${daemon.plan.host}`,
          async () => (await daemon.prefixes()).size >= all.length,
          60_000,
        );
        const held = [...(await daemon.prefixes())].sort();
        expectHolds(`${daemon.plan.host} holds exactly these`, held.join() === all.join());
      }
    },
  },
];

/** 50,000 prefixes of 24 bits from this first octet on. */
function table(first: number): string[] {
  return Array.from({ length: 50_000 }, (_, i) => `${first}.${i >>> 8}.${i & 255}.0/24`);
}
