import { describe, expect, test } from '@jest/globals';
import { createServiceEvents } from '../../../../src/app/events/serviceEvents.js';
import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import { createProblemSet, type Problem } from '../../../../src/kube/problems.js';
import { VirtualClock } from '../../core/virtualClock.js';

const START = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
}

interface Posted {
  readonly at: number;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

function telling(node = 'n1', nodes: readonly string[] = ['n1']) {
  const clock = new VirtualClock();
  const posted: Posted[] = [];
  const problems = createProblemSet();
  const state = { answer: undefined as ApiError | undefined, uid: 'uid-web' as string | undefined };
  const events = createServiceEvents({
    writer: {
      ask: (method, path, body) => {
        expect(method).toBe('POST');
        posted.push({ at: clock.now(), path, body: body as Posted['body'] });
        return state.answer === undefined ? Promise.resolve({}) : Promise.reject(state.answer);
      },
    },
    node,
    clock,
    wallClock: () => START + clock.now(),
    random: () => 0,
    nodes: () => nodes,
    uidOf: () => state.uid,
    report: found => problems.report(found),
  });
  const pass = async (milliseconds: number): Promise<void> => {
    const step = milliseconds > 100_000 ? 1000 : 100;
    for (let left = milliseconds; left > 0; left -= step) {
      clock.advance(Math.min(step, left));
      await settle();
    }
  };
  return { events, posted, state, pass, texts: () => problems.list().map(({ text }) => text) };
}

const refused = (n = 1): Problem => ({
  subject: 'Service demo/web',
  text: `external IP 192.0.2.${n} is in none of the external IP ranges: it is not served`,
  reason: 'AddressRefused',
});
const about = (...problems: readonly Problem[]) => new Map([['frontends demo/web', problems]]);

describe('an Event', () => {
  test('says what is wrong with which Service', async () => {
    const { events, posted, pass } = telling();
    events.take(about(refused()), false);
    await pass(3000);
    expect(posted).toEqual([
      {
        at: 3000,
        path: '/apis/events.k8s.io/v1/namespaces/demo/events',
        body: {
          apiVersion: 'events.k8s.io/v1',
          kind: 'Event',
          metadata: { name: expect.stringMatching(/^web\.[0-9a-f]{16}$/), namespace: 'demo' },
          eventTime: '2026-11-21T12:00:03.000000Z',
          reportingController: 'peerage.io/service-proxy',
          reportingInstance: 'peerage-n1',
          action: 'Serve',
          reason: 'AddressRefused',
          regarding: { apiVersion: 'v1', kind: 'Service', namespace: 'demo', name: 'web', uid: 'uid-web' },
          note: refused().text,
          type: 'Warning',
        },
      },
    ]);
  });

  test('has the same name whoever tells it, and another one for another thing, Service or life of it', async () => {
    const nameOf = async (node: string, problem: Problem, isLocal: boolean, uid = 'uid-web'): Promise<unknown> => {
      const { events, posted, pass, state } = telling(node, [node]);
      state.uid = uid;
      events.take(about(problem), isLocal);
      await pass(3000);
      return posted[0]?.body['metadata'];
    };
    const name = await nameOf('n1', refused(), false);
    expect(await nameOf('n2', refused(), false)).toEqual(name);
    expect(await nameOf('n1', refused(2), false)).not.toEqual(name);
    expect(await nameOf('n1', refused(), false, 'other')).not.toEqual(name);
    expect(await nameOf('n1', refused(), true)).not.toEqual(await nameOf('n2', refused(), true));
  });

  test('is cut to what the API takes', async () => {
    const { events, posted, pass } = telling();
    events.take(about({ ...refused(), text: 'ü'.repeat(600) }), false);
    await pass(3000);
    const note = String(posted[0]?.body['note']);
    expect(Buffer.byteLength(note)).toBeLessThanOrEqual(1024);
    expect(note).toMatch(/^ü{500,}…$/);
  });
});

describe('when', () => {
  test("what is over soon is never told, and what has no reason is nobody's business", async () => {
    const { events, posted, pass } = telling();
    events.take(
      about(refused(), { subject: 'Service demo/web', text: 'x' }, { ...refused(), subject: 'Node n1' }),
      false,
    );
    await pass(2900);
    events.take(about(), false);
    await pass(HOUR);
    expect(posted).toEqual([]);
  });

  test('once, and again as long as it is there, since servers forget', async () => {
    const { events, posted, pass } = telling();
    events.take(about(refused()), false);
    await pass(4000);
    // The same again is nothing new; one more is.
    events.take(about(refused(), refused(2)), false);
    await pass(1_700_000);
    expect(posted.map(({ at }) => at)).toEqual([3000, 7000]);
    await pass(200_000);
    expect(posted.map(({ at }) => at)).toEqual([3000, 7000, 1_803_000, 1_807_000]);
  });

  test('five a second at most', async () => {
    const { events, posted, pass } = telling();
    events.take(about(...Array.from({ length: 50 }, (_, i) => refused(i))), false);
    await pass(4000);
    expect(posted).toHaveLength(6);
    await pass(10_000);
    expect(posted).toHaveLength(50);
  });

  test('a Service that is gone is not told of', async () => {
    const { events, posted, pass, state } = telling();
    state.uid = undefined;
    events.take(about(refused()), false);
    await pass(10_000);
    expect(posted).toEqual([]);
  });

  test('nothing more after the end', async () => {
    const { events, posted, pass } = telling();
    events.take(about(refused()), false);
    events.stop();
    await pass(10_000);
    expect(posted).toEqual([]);
  });
});

describe('who', () => {
  const nodes = Array.from({ length: 200 }, (_, i) => `node-${i}`);

  test('three of many nodes for what all know, in turn; each for what only it knows', async () => {
    const common: number[] = [];
    const own: number[] = [];
    for (const node of nodes) {
      const { events, posted, pass } = telling(node, nodes);
      events.take(about(refused()), false);
      events.take(new Map([['health checks demo/web', [{ ...refused(), text: 'port' }]]]), true);
      await pass(4000);
      own.push(...posted.filter(({ body }) => body['action'] === 'Listen').map(({ at }) => at));
      await pass(130_000);
      common.push(...posted.filter(({ body }) => body['action'] === 'Serve').map(({ at }) => at));
    }
    expect(own).toHaveLength(200);
    expect(common.map(at => Math.floor(at / 60_000)).sort()).toEqual([0, 1, 2]);
  }, 60_000);
});

describe('a server that does not take it', () => {
  test('because it has it, is answer enough', async () => {
    const { events, posted, pass, state, texts } = telling();
    state.answer = new ApiError(409, '409: already exists');
    events.take(about(refused()), false);
    await pass(60_000);
    expect(posted).toHaveLength(1);
    expect(texts()).toEqual([]);
  });

  test('is asked again with patience, and that is a problem until it does', async () => {
    const { events, posted, pass, state, texts } = telling();
    state.answer = new ApiError(403, '403: cannot create resource "events"');
    events.take(about(refused(), refused(2)), false);
    await pass(3000);
    expect(texts()).toEqual([
      'what is wrong with services cannot be told as Events: 403: cannot create resource "events"; it is tried again',
    ]);
    // What comes in meanwhile does not make it ask sooner.
    events.take(new Map([['frontends of 192.0.2.9', [refused(9)]]]), false);
    await pass(4900);
    expect(posted).toHaveLength(1);
    await pass(HOUR);
    expect(posted.length).toBeLessThan(15);
    state.answer = undefined;
    await pass(700_000);
    expect(texts()).toEqual([]);
    expect(new Set(posted.map(({ body }) => body['note'])).size).toBe(3);
  });

  test('because it never will, is left alone', async () => {
    const { events, posted, pass, state } = telling();
    state.answer = new ApiError(422, '422: invalid');
    events.take(about(refused()), false);
    await pass(600_000);
    expect(posted).toHaveLength(1);
  });
});
