/** Connections that collide (RFC 4271 section 6.8), made to: both sides connect and neither OPEN arrives before both have. */

import { sleep } from '../../lab/topology/commands.js';
import { expectEqual, expectHolds } from '../expect.js';
import { sessionsUp, until, type Rig } from '../rig.js';
import { bothDown } from './checks.js';

const ROUNDS = 5;

/** How long both sides are left to connect, ms; some wait a second or two first. */
const GATHERING = 4000;

/** How long a session is watched after a collision, ms. */
const SETTLED = 2000;

/** Lets connections come up while nothing that is said on them arrives. */
const SILENCE = `table inet silence {
  chain in {
    type filter hook input priority 0;
    tcp dport 179 tcp flags & psh == psh drop
    tcp sport 179 tcp flags & psh == psh drop
  }
}
`;
const HOSTS = ['us', 'them'] as const;

async function silence({ topology }: Rig, begins: boolean): Promise<void> {
  for (const host of HOSTS) {
    const [args, input] = begins ? [['-f', '-'], SILENCE] : [['delete', 'table', 'inet', 'silence'], undefined];
    const { code, stderr } = await topology.exec(host, 'nft', args, undefined, input);
    if (code !== 0) throw new Error(`nft at ${host}: ${stderr}`);
  }
}

/** BGP connections between the two, as the kernel has them: which side's port is 179. */
async function connections({ topology }: Rig): Promise<readonly string[]> {
  const { stdout } = await topology.exec('us', 'ss', [
    '-Htn',
    'state',
    'established',
    '( sport = :179 or dport = :179 )',
  ]);
  return stdout.split('\n').filter(line => line.trim() !== '');
}

/**
 * Rounds of simultaneous connections: each ends with one session over one connection that stays.
 * @param collides whether two connections at a time are expected at all
 */
export async function collide(rig: Rig, collides = true): Promise<void> {
  const { us, them, theirAddress, ourAddress } = rig;
  await sessionsUp(rig);
  let collisions = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    await Promise.all([us.shutdown(theirAddress, 'round'), them.shutdown(ourAddress, 'round')]);
    await bothDown(rig);
    await silence(rig, true);
    try {
      await Promise.all([us.enable(theirAddress), them.enable(ourAddress)]);
      const end = performance.now() + GATHERING;
      while (performance.now() < end && (await connections(rig)).length < 2) await sleep(50);
      if ((await connections(rig)).length >= 2) collisions++;
    } finally {
      await silence(rig, false);
    }
    await sessionsUp(rig);
    await until('one connection left', async () => (await connections(rig)).length === 1);
    const { since } = await us.own.peer(theirAddress);
    await sleep(SETTLED);
    await sessionsUp(rig);
    expectEqual(`the session of round ${round} has not changed`, (await us.own.peer(theirAddress)).since, since);
    expectEqual(`connections in round ${round}`, (await connections(rig)).length, 1);
  }
  expectHolds(`two connections at a time in ${collisions} of ${ROUNDS} rounds`, collisions > 0 === collides);
  // Counted over all rounds: none may have come up twice in one.
  expectEqual('times established', (await us.own.peer(theirAddress)).timesEstablished, ROUNDS + 1);
}
