import { beforeEach, expect, test } from '@jest/globals';
import { SendQueue } from '../../../../src/bgp/session/sendQueue.js';
import { SharedBuffer } from '../../../../src/core/sharedBuffer.js';

const KIB = 1024;
let writes: { readonly chunks: readonly Uint8Array[]; readonly flushed: () => void }[];
let drained: number;
let queue: SendQueue;
beforeEach(() => {
  writes = [];
  drained = 0;
  queue = new SendQueue(
    (chunks, flushed) => writes.push({ chunks, flushed }),
    () => undefined,
    () => drained++,
  );
});

function flushOne(): void {
  writes.shift()!.flushed();
}

test('one write is under way at a time, and what waits goes together', () => {
  const [a, b, c] = [1, 2, 3].map(n => new Uint8Array(10).fill(n));
  queue.push(a!);
  queue.push(b!);
  queue.push(c!);
  expect(writes.map(w => w.chunks)).toEqual([[a]]);
  flushOne();
  expect(writes.map(w => w.chunks)).toEqual([[b, c]]);
  expect(writes[0]!.chunks[0]).toBe(b); // The same buffer: no copy.
  expect(queue.waiting).toBe(20);
});

test('a shared buffer has a reader until its octets are with the kernel, or dropped', () => {
  const buffer = new SharedBuffer(new Uint8Array(30));
  for (const at of [0, 10, 20]) queue.push(buffer.octets.subarray(at, at + 10), buffer);
  expect(buffer.readers).toBe(3);
  flushOne();
  expect(buffer.readers).toBe(2);
  flushOne();
  expect(buffer.readers).toBe(0);
  queue.push(buffer.octets, buffer);
  queue.push(buffer.octets, buffer);
  queue.discard();
  expect(buffer.readers).toBe(1); // The first is under way.
  flushOne();
  expect(buffer.readers).toBe(0);
});

test('a keepalive overtakes what waits and not what is under way', () => {
  queue.push(Uint8Array.of(1));
  queue.push(Uint8Array.of(2));
  queue.pushFirst(Uint8Array.of(9));
  flushOne();
  expect(writes[0]!.chunks.map(c => c[0])).toEqual([9, 2]);
});

test('above 1 MiB it is full, and below 256 KiB drained is called once', () => {
  const chunk = new Uint8Array(200 * KIB);
  const answers = Array.from({ length: 7 }, () => queue.push(chunk));
  expect(answers).toEqual([true, true, true, true, true, false, false]);
  const waiting: number[] = [];
  while (writes.length > 0) {
    flushOne();
    waiting.push(queue.waiting / KIB);
    if (drained === 0) expect(queue.waiting).toBeGreaterThanOrEqual(256 * KIB);
  }
  expect(drained).toBe(1);
  expect(waiting.at(-1)).toBe(0);
  expect(queue.push(chunk)).toBe(true);
});

test('discard keeps what is under way, so that the stream stays whole', () => {
  queue.push(new Uint8Array(5));
  queue.push(new Uint8Array(7));
  queue.discard();
  expect(queue.waiting).toBe(5);
  let empty = 0;
  queue.whenEmpty(() => empty++);
  flushOne();
  expect([queue.waiting, writes.length, empty]).toEqual([0, 0, 1]);
});

test('an owner that sends from inside drained is served', () => {
  const chunk = new Uint8Array(600 * KIB);
  let refills = 0;
  queue = new SendQueue(
    (chunks, flushed) => writes.push({ chunks, flushed }),
    () => undefined,
    () => {
      if (refills++ < 3) while (queue.push(chunk));
    },
  );
  while (queue.push(chunk));
  while (writes.length > 0) flushOne();
  expect([refills, queue.waiting]).toEqual([4, 0]);
});
