import { describe as group, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  candidate,
  elect,
  mayAct,
  type ElectionAction,
  type ElectionEvent,
  type ElectionMoment,
  type ElectionState,
  type LeaseRecord,
} from '../../../../src/app/loadBalancer/election.js';

const START = Date.parse('2026-11-21T10:00:00Z');
const moment = (now: number, rest: Partial<ElectionMoment> = {}): ElectionMoment => ({
  now,
  wall: START + now,
  random: 0,
  pace: 4000,
  ...rest,
});
const lease = (holder: string, version: string, rest: Partial<LeaseRecord> = {}): LeaseRecord => ({
  holder,
  duration: 15_000,
  acquired: '2026-11-21T10:00:00.000000Z',
  renewed: '2026-11-21T10:00:00.000000Z',
  transitions: 3,
  version,
  ...rest,
});

/** Walks a candidate through events. @returns the actions of each, without what repeats the obvious */
function walk(steps: readonly (readonly [now: number, event: ElectionEvent, rest?: Partial<ElectionMoment>])[]) {
  let state = candidate('a');
  const told: (readonly ElectionAction[])[] = [];
  for (const [now, event, rest] of steps) {
    const step = elect(state, event, moment(now, rest));
    ({ state } = step);
    told.push(step.actions);
  }
  return { state, told, last: told.at(-1) };
}

const TIMER: ElectionEvent = { kind: 'timer' };
const read = (record?: LeaseRecord): ElectionEvent => ({ kind: 'read', record });
const written = (record: LeaseRecord): ElectionEvent => ({ kind: 'written', record });
const failed = (status?: number, text = 'no answer'): ElectionEvent => ({ kind: 'failed', status, text });

group('one candidate', () => {
  test('makes the Lease where there is none, and leads from when it asked', () => {
    const { told, state } = walk([
      [0, TIMER],
      [5, read(undefined)],
      [30, written(lease('a', '1', { transitions: 0 }))],
    ]);
    expect(told[0]).toEqual([{ kind: 'read' }]);
    expect(told[1]).toEqual([
      {
        kind: 'write',
        record: {
          holder: 'a',
          duration: 15_000,
          acquired: '2026-11-21T10:00:00.005000Z',
          renewed: '2026-11-21T10:00:00.005000Z',
          transitions: 0,
          version: '',
        },
      },
    ]);
    expect(told[2]).toEqual([
      { kind: 'hold', until: 10_005 },
      { kind: 'lead', isLeading: true },
      { kind: 'wait', milliseconds: 2000 },
    ]);
    expect([mayAct(state, 10_004), mayAct(state, 10_005)]).toEqual([true, false]);
  });

  test('renews what it holds, keeping when it got it', () => {
    const { last } = walk([
      [0, TIMER],
      [0, read(lease('a', '7', { acquired: 'then' }))],
      [0, written(lease('a', '8', { acquired: 'then' }))],
      [2000, TIMER],
    ]);
    expect(last).toEqual([
      { kind: 'write', record: expect.objectContaining({ acquired: 'then', transitions: 3, version: '8' }) },
    ]);
  });

  test('leaves a Lease alone that others hold, and comes back at its own pace', () => {
    expect(walk([[0, read(lease('b', '1'))]]).last).toEqual([{ kind: 'wait', milliseconds: 2000 }]);
    expect(walk([[0, read(lease('b', '1')), { random: 0.5, pace: 60_000 }]]).last).toEqual([
      { kind: 'wait', milliseconds: 60_000 },
    ]);
  });

  test('looks soon at one that seems expired, and takes it over only when it saw it unchanged for its whole time', () => {
    const old = lease('b', '1', { renewed: '2026-11-21T09:00:00.000000Z' });
    const { told } = walk([
      [0, read(old), { pace: 600_000 }],
      [14_999, read(old), { pace: 600_000 }],
      [15_000, read(old)],
    ]);
    expect(told).toEqual([
      [{ kind: 'wait', milliseconds: 15_000 }],
      [{ kind: 'wait', milliseconds: 1 }],
      [{ kind: 'write', record: expect.objectContaining({ holder: 'a', transitions: 4, version: '1' }) }],
    ]);
  });

  test('a renewal starts the time again', () => {
    const { last } = walk([
      [0, read(lease('b', '1'))],
      [14_000, read(lease('b', '2'))],
      [16_000, read(lease('b', '2'))],
    ]);
    expect(last?.map(({ kind }) => kind)).toEqual(['wait']);
  });

  test.each([
    ['released', lease('', '4')],
    ['of its own former life', lease('a', '4')],
  ])('a Lease that is %s is taken at once', (_what, record) => {
    expect(walk([[0, read(record)]]).last).toMatchObject([{ kind: 'write', record: { holder: 'a', version: '4' } }]);
  });

  test('a conflict is looked into at once', () => {
    const { told } = walk([
      [0, read(lease('', '4'))],
      [1, failed(409)],
      [2, read(lease('b', '5'))],
    ]);
    expect(told.slice(1)).toEqual([[{ kind: 'read' }], [{ kind: 'wait', milliseconds: 2000 }]]);
  });

  test('a holder whose Lease somebody took ceases', () => {
    const { told, state } = walk([
      [0, read(lease('', '4'))],
      [0, written(lease('a', '5'))],
      [2000, TIMER],
      [2001, failed(409)],
      [2002, read(lease('b', '6'))],
    ]);
    expect(told.at(-1)).toEqual([
      { kind: 'lead', isLeading: false },
      { kind: 'wait', milliseconds: 4000 },
    ]);
    expect(mayAct(state, 2003)).toBe(false);
  });

  test('a holder that somebody only annotated goes on', () => {
    const { last } = walk([
      [0, read(lease('', '4'))],
      [0, written(lease('a', '5'))],
      [2000, TIMER],
      [2001, failed(409)],
      [2002, read(lease('a', '6'))],
    ]);
    expect(last).toMatchObject([{ kind: 'write', record: { holder: 'a', version: '6' } }]);
  });

  test('without an answer it says so, tries again, and ceases when its time is over', () => {
    const { told } = walk([
      [0, read(lease('', '4'))],
      [0, written(lease('a', '5'))],
      [2000, TIMER],
      [4000, failed(undefined, 'no answer')],
      [9999, { kind: 'deadline' }],
      [10_000, { kind: 'deadline' }],
    ]);
    expect(told.slice(3)).toEqual([
      [
        { kind: 'report', text: 'no answer' },
        { kind: 'wait', milliseconds: 2000 },
      ],
      [],
      [{ kind: 'lead', isLeading: false }],
    ]);
  });

  test('an answer later than the deadline makes nobody a leader', () => {
    const { last, state } = walk([
      [0, read(lease('', '4'))],
      [10_000, written(lease('a', '5'))],
    ]);
    expect(last).toEqual([{ kind: 'wait', milliseconds: 2000 }]);
    expect(mayAct(state, 10_001)).toBe(false);
  });

  test('who goes says so first, and answers nothing any more', () => {
    const { told } = walk([
      [0, read(lease('', '4'))],
      [0, written(lease('a', '5'))],
      [1000, { kind: 'release' }],
      [1001, written(lease('', '6'))],
      [2000, TIMER],
    ]);
    expect(told.slice(2)).toEqual([
      [
        { kind: 'lead', isLeading: false },
        { kind: 'write', record: expect.objectContaining({ holder: '', duration: 1000, version: '5' }) },
      ],
      [],
      [],
    ]);
  });
});

/** Numbers 0 <= x < 1 that look random (a linear congruence of Numerical Recipes). */
function dice(seed: number): () => number {
  let value = seed;
  return () => {
    value = (Math.imul(value, 1_664_525) + 1_013_904_223) >>> 0;
    return value / 2 ** 32;
  };
}

interface Due {
  readonly at: number;
  readonly run: () => void;
}

/** A server and some candidates on virtual time; every request takes a while, may be lost, and candidates may stand still. */
class Village {
  now = 0;
  record: LeaseRecord | undefined;
  private version = 0;
  private readonly queue: Due[] = [];
  private readonly states: ElectionState[];
  readonly down = new Set<number>();
  leaders = 0;
  /** How many answers get lost. */
  loss = 0.1;

  constructor(
    count: number,
    /** Whatever is needed next: 0 <= x < 1. */
    private readonly chance: () => number,
    private readonly pace: number,
  ) {
    this.states = Array.from({ length: count }, (_, i) => candidate(`c${i}`));
    this.states.forEach((_, i) => this.after(this.chance() * 2000, () => this.tell(i, TIMER)));
  }

  run(milliseconds: number, check: () => void): void {
    const end = this.now + milliseconds;
    for (;;) {
      const next = this.queue.reduce<Due | undefined>((a, b) => (a === undefined || b.at < a.at ? b : a), undefined);
      if (next === undefined || next.at > end) break;
      this.queue.splice(this.queue.indexOf(next), 1);
      this.now = Math.max(this.now, next.at);
      next.run();
      check();
    }
    this.now = end;
  }

  active(): readonly number[] {
    return this.states.flatMap((state, i) => (mayAct(state, this.now) ? [i] : []));
  }

  private after(milliseconds: number, run: () => void): void {
    this.queue.push({ at: this.now + milliseconds, run });
  }

  private tell(i: number, event: ElectionEvent): void {
    // The wall clocks of the machines are hours apart.
    const wall = START + this.now + (i - 1) * 3_600_000;
    const { state, actions } = elect(this.states[i]!, event, {
      now: this.now,
      wall,
      random: this.chance(),
      pace: this.pace,
    });
    this.states[i] = state;
    for (const action of actions) this.act(i, action);
  }

  private act(i: number, action: ElectionAction): void {
    if (action.kind === 'wait') this.after(action.milliseconds, () => this.tell(i, TIMER));
    if (action.kind === 'hold') this.after(action.until - this.now, () => this.tell(i, { kind: 'deadline' }));
    if (action.kind === 'lead' && action.isLeading) this.leaders++;
    if (action.kind === 'read') this.ask(i, () => ({ kind: 'read', record: this.record }));
    if (action.kind === 'write') this.ask(i, () => this.write(action.record));
  }

  /** An answer may come very late, and a request that was done may look lost. */
  private ask(i: number, serve: () => ElectionEvent): void {
    const [there, back] = [this.chance() ** 3 * 4000, this.chance() ** 3 * 9000];
    this.after(there, () => {
      const answer: ElectionEvent = this.down.has(i) ? failed() : serve();
      this.after(back, () => this.tell(i, this.chance() < this.loss ? failed() : answer));
    });
  }

  private write(record: LeaseRecord): ElectionEvent {
    if (record.version !== (this.record?.version ?? '')) return failed(409);
    this.record = { ...record, version: String(++this.version) };
    return written(this.record);
  }
}

group('many candidates', () => {
  test('never two at a time, and always one again once the server can be reached', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 6 }),
        fc.integer({ min: 500, max: 20_000 }),
        fc.array(fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), { minLength: 3, maxLength: 8 }),
        fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        (count, pace, outages, seed) => {
          const village = new Village(count, dice(seed), pace);
          let most = 0;
          const check = (): void => {
            most = Math.max(most, village.active().length);
          };
          for (const outage of outages) {
            village.down.clear();
            outage.forEach((isDown, i) => isDown && village.down.add(i));
            village.run(60_000, check);
          }
          village.down.clear();
          village.loss = 0;
          village.leaders = 0;
          const before = village.active().length;
          village.run(400_000, check);
          expect(most).toBeLessThanOrEqual(1);
          expect(before + village.leaders).toBeGreaterThan(0);
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);
});
