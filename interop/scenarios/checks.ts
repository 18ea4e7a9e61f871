/** What several scenarios do and look at. */

import { sleep } from '../../lab/topology/commands.js';
import { expectEqual, expectHolds } from '../expect.js';
import { has, sessionsUp, until, type Rig } from '../rig.js';

export const OURS = { v4: '10.1.0.0/24', v6: 'fd01::/64' };
export const THEIRS = { v4: '10.2.0.0/24', v6: 'fd02::/64' };

/** How long a session that must not come up is watched: longer than every daemon's pause between attempts. */
const WATCHED = 8000;

/** Brings the session up and one route across each way, with the AS and the next hop that belong to its sender. */
export async function exchange(rig: Rig, family: 'v4' | 'v6'): Promise<void> {
  const { us, them } = rig;
  await sessionsUp(rig);
  await us.originate([{ prefix: OURS[family] }]);
  await them.originate([{ prefix: THEIRS[family] }]);
  const [atThem, atUs] = [await has(them, OURS[family]), await has(us, THEIRS[family])];
  const nextHop = family === 'v4' ? 'address' : 'address6';
  expectEqual('our AS in their route', atThem.asPath, String(us.plan.asn));
  expectEqual('our next hop in their route', atThem.nextHop, us.plan[nextHop]);
  expectEqual('their AS in our route', atUs.asPath, String(them.plan.asn));
  expectEqual('their next hop in our route', atUs.nextHop, them.plan[nextHop]);
}

/** A session that must not come up, watched for {@link WATCHED} ms. */
export async function staysDown({ us, theirAddress, ourAddress, them }: Rig): Promise<void> {
  const end = performance.now() + WATCHED;
  while (performance.now() < end) {
    await sleep(250);
    expectHolds('no session in our eyes', !(await us.established(theirAddress)));
    expectHolds('no session in their eyes', !(await them.established(ourAddress)));
  }
  expectEqual('times established', (await us.own.peer(theirAddress)).timesEstablished, 0);
}

export async function bothDown({ us, them, theirAddress, ourAddress }: Rig): Promise<void> {
  await until('the end of the session in our eyes', async () => !(await us.established(theirAddress)));
  await until('the end of the session in their eyes', async () => !(await them.established(ourAddress)));
}
