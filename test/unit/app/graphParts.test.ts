import { describe as group, expect, test } from '@jest/globals';
import { Subject, VirtualTimeScheduler, merge } from 'rxjs';
import { gather, newInbox, sink, stage, StageError } from '../../../src/app/graphParts.js';

group('gather', () => {
  /** Feeds values at virtual times; answers what left and when. */
  function gathered(
    arrivals: readonly (readonly [at: number, value: string])[],
  ): readonly (readonly [number, string])[] {
    const clock = new VirtualTimeScheduler();
    const input = new Subject<string>();
    const left: [number, string][] = [];
    input.pipe(gather(values => values.join('+'), 100, clock)).subscribe(value => left.push([clock.now(), value]));
    for (const [at, value] of arrivals) clock.schedule(() => input.next(value), at);
    clock.flush();
    return left;
  }

  test.each([
    ['a single change does not wait', [[5, 'a']], [[5, 'a']]],
    [
      'a burst: the first at once, the rest as one',
      [
        [0, 'a'],
        [1, 'b'],
        [99, 'c'],
      ],
      [
        [0, 'a'],
        [100, 'b+c'],
      ],
    ],
    [
      'calm, and the next is a first again',
      [
        [0, 'a'],
        [150, 'b'],
      ],
      [
        [0, 'a'],
        [150, 'b'],
      ],
    ],
    [
      'a stream without end does not starve',
      [
        [0, 'a'],
        [60, 'b'],
        [120, 'c'],
        [180, 'd'],
        [240, 'e'],
      ],
      [
        [0, 'a'],
        [100, 'b'],
        [200, 'c+d'],
        [300, 'e'],
      ],
    ],
  ] as const)('%s', (_name, arrivals, expected) => {
    expect(gathered(arrivals)).toEqual(expected);
  });

  test('what waits leaves when the source completes, and nothing after an unsubscribe', () => {
    const clock = new VirtualTimeScheduler();
    const left: string[] = [];
    const input = new Subject<string>();
    input.pipe(gather(values => values.join('+'), 100, clock)).subscribe(value => left.push(value));
    for (const value of ['a', 'b', 'c']) input.next(value);
    input.complete();
    expect(left).toEqual(['a', 'b+c']);

    const other = new Subject<string>();
    const subscription = other
      .pipe(gather(values => values.join('+'), 100, clock))
      .subscribe(value => left.push(value));
    other.next('d');
    other.next('e');
    subscription.unsubscribe();
    clock.flush();
    expect(left).toEqual(['a', 'b+c', 'd']);
  });
});

test('the inbox delivers to every reader in the order sent, also what is sent from within', () => {
  const inbox = newInbox<number>();
  const seen: string[] = [];
  inbox.stream.subscribe(value => {
    seen.push(`first ${value}`);
    if (value === 1) inbox.send(2);
  });
  inbox.stream.subscribe(value => seen.push(`second ${value}`));
  inbox.send(1);
  expect(seen).toEqual(['first 1', 'second 1', 'first 2', 'second 2']);
});

test('a stage that throws names itself and ends everything', () => {
  const input = new Subject<number>();
  const errors: unknown[] = [];
  const seen: number[] = [];
  const half = input.pipe(
    stage('half', (n: number) => {
      if (n === 0) throw new RangeError('no half');
      return n % 2 === 0 ? n / 2 : undefined;
    }),
  );
  merge(half.pipe(sink('seen', n => seen.push(n))), input.pipe(sink('other', () => undefined))).subscribe({
    error: (error: unknown) => errors.push(error),
  });
  for (const n of [4, 3, 0, 8]) input.next(n);
  expect(seen).toEqual([2]);
  expect(errors).toEqual([expect.any(StageError)]);
  expect(String(errors[0])).toBe('StageError: stage "half" failed: no half');
});
