/** Routes asked for again (RFC 2918, RFC 7313): the request and the routes are looked for on the wire. */

import { sleep } from '../../lab/topology/commands.js';
import { expectEqual } from '../expect.js';
import { until, type Rig, type Scenario } from '../rig.js';
import { phases, sampled } from '../sampling.js';
import { announces, capture, isRequest, type Capture, type Segment } from '../wire.js';
import { exchange, OURS, THEIRS } from './checks.js';

interface Course {
  /** Asks whoever is to ask. */
  readonly ask: () => Promise<void>;
  readonly asker: string;
  readonly prefix: string;
}

/** Whether the prefix was announced to the asker after a request of its. */
export function answered(segments: readonly Segment[], asker: string, prefix: string): boolean {
  const request = segments.findIndex(segment => segment.from === asker && isRequest(segment));
  return request >= 0 && segments.slice(request + 1).some(each => each.from !== asker && announces(each, prefix));
}

/** Records the link while `run` goes on. */
export async function recorded(rig: Rig, run: (recording: Capture) => Promise<void>): Promise<void> {
  const recording = await capture(rig.topology, rig.us.plan.host);
  try {
    await run(recording);
  } finally {
    await recording.end();
  }
}

/** Asks until there is an answer: a request before the other side's End-of-RIB is passed over by some. */
function askedAgain(rig: Rig, { ask, asker, prefix }: Course): Promise<void> {
  return recorded(rig, async recording => {
    await until(`a request of ${asker} and ${prefix} after it`, async () => {
      await ask();
      await sleep(1000);
      return answered(await recording.segments(), asker, prefix);
    });
  });
}

/** The routes of both sides stay where they are while one asks for the other's. */
async function refreshed(rig: Rig, course: Course): Promise<void> {
  const { us, them, theirAddress } = rig;
  await exchange(rig, 'v4');
  const looks = await sampled(
    async () => {
      const [atUs, atThem] = [await us.route(THEIRS.v4), await them.route(OURS.v4)];
      return `${atUs === undefined ? 'gone' : 'there'} ${atThem === undefined ? 'gone' : 'there'}`;
    },
    async () => {
      await askedAgain(rig, course);
      // Who has to sweep what was not sent again does so now.
      await sleep(1000);
    },
  );
  expectEqual('their route with us and ours with them, all along', phases(looks), ['there there']);
  expectEqual('times established', (await us.own.peer(theirAddress)).timesEstablished, 1);
}

export const REFRESH: readonly Scenario[] = [
  {
    name: 'route refresh, we ask',
    needs: ['answerRefresh'],
    // FRR answers only once it has sent End-of-RIB, which it does with graceful restart alone.
    gracefulRestart: true,
    run: (rig: Rig): Promise<void> =>
      refreshed(rig, {
        ask: () => rig.us.refresh(rig.theirAddress),
        asker: rig.us.plan.address,
        prefix: THEIRS.v4,
      }),
  },
  {
    name: 'route refresh, they ask',
    needs: ['askRefresh'],
    run: (rig: Rig): Promise<void> =>
      refreshed(rig, {
        ask: () => rig.them.refresh(rig.ourAddress),
        asker: rig.them.plan.address,
        prefix: OURS.v4,
      }),
  },
];
