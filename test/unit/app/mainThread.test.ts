/** The main thread's priority, among the others of its process. */

import { expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { goBeforeHelpers } from '../../../src/app/mainThread.js';

test('this thread goes before those that are there, where that is allowed', () => {
  const before = getPriority();
  try {
    const isDone = goBeforeHelpers();
    expect(isDone).toBe(process.getuid?.() === 0 || before <= -5);
    expect(getPriority()).toBe(isDone ? Math.min(before, -5) : before);
    const others = readdirSync('/proc/self/task')
      .map(Number)
      .filter(id => id !== process.pid);
    const priorities = others.map(id => getPriority(id));
    expect(priorities.filter(priority => priority < before)).toEqual([]);
    if (!isDone) return;
    setPriority(-7);
    expect([goBeforeHelpers(), getPriority()]).toEqual([true, -7]);
  } finally {
    if (getPriority() !== before) setPriority(before);
  }
});
