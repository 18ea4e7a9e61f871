/**
 * AS path expressions compiled to a non-deterministic automaton that is run over all its states at once: the time is the
 * length of the path times the size of the expression, whatever is asked (no backtracking).
 */

import type { AsSegment } from '../../bgp/attributes.js';
import type { AsPathExpression, AsPathNode } from '../../bgp/policyTypes.js';
import { assertNever } from '../../core/assertNever.js';

export type AsPathTest = (segments: readonly AsSegment[]) => boolean;

/** `low`..`high` takes one AS and goes on to the next step; `split` goes on at both places at once. */
type Step =
  | { readonly kind: 'take'; readonly low: number; readonly high: number }
  | { readonly kind: 'split'; readonly to: readonly number[] }
  | { readonly kind: 'end' };

/** One place of a path: the numbers that may stand there (several in a set). */
type Place = readonly number[];

/** True when a path, as places from the neighbour to the origin, is matched. An AS_SET is one place. */
export function compileAsPath(expression: AsPathExpression): AsPathTest {
  const steps: Step[] = [];
  write(expression.body, steps);
  steps.push({ kind: 'end' });
  return segments => run(steps, placesOf(segments), expression);
}

function run(steps: readonly Step[], places: readonly Place[], { fromStart, toEnd }: AsPathExpression): boolean {
  let current = new Set<number>();
  follow(steps, 0, current);
  for (const place of places) {
    if (!toEnd && current.has(steps.length - 1)) return true;
    const next = new Set<number>();
    for (const at of current) {
      const step = steps[at]!;
      if (step.kind === 'take' && place.some(asn => asn >= step.low && asn <= step.high)) follow(steps, at + 1, next);
    }
    if (!fromStart) follow(steps, 0, next);
    if (next.size === 0) return false;
    current = next;
  }
  return current.has(steps.length - 1);
}

/** Adds a step, and what is reached from it without taking an AS. */
function follow(steps: readonly Step[], at: number, into: Set<number>): void {
  const waiting = [at];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (into.has(next)) continue;
    into.add(next);
    const step = steps[next]!;
    if (step.kind === 'split') waiting.push(...step.to);
  }
}

/** Appends the steps of a node; its end is whatever is appended next. */
function write(node: AsPathNode, steps: Step[]): void {
  switch (node.kind) {
    case 'asn':
      steps.push({ kind: 'take', low: node.low, high: node.high });
      return;
    case 'sequence':
      for (const part of node.parts) write(part, steps);
      return;
    case 'choice':
      writeChoice(node.parts, steps);
      return;
    case 'repeat':
      writeRepeat(node.part, node.min, node.max, steps);
      return;
    default:
      assertNever(node);
  }
}

function writeChoice(parts: readonly AsPathNode[], steps: Step[]): void {
  const fork = reserve(steps);
  const begins: number[] = [];
  const ends: number[] = [];
  for (const part of parts) {
    begins.push(steps.length);
    write(part, steps);
    ends.push(reserve(steps));
  }
  steps[fork] = { kind: 'split', to: begins };
  for (const end of ends) steps[end] = { kind: 'split', to: [steps.length] };
}

function writeRepeat(part: AsPathNode, min: number, max: number | null, steps: Step[]): void {
  for (let i = 0; i < min; i++) write(part, steps);
  if (max === null) {
    const fork = reserve(steps);
    write(part, steps);
    steps.push({ kind: 'split', to: [fork] });
    steps[fork] = { kind: 'split', to: [fork + 1, steps.length] };
    return;
  }
  const forks: number[] = [];
  for (let i = min; i < max; i++) {
    forks.push(reserve(steps));
    write(part, steps);
  }
  for (const fork of forks) steps[fork] = { kind: 'split', to: [fork + 1, steps.length] };
}

/** Leaves room for a step that is known later. */
function reserve(steps: Step[]): number {
  return steps.push({ kind: 'end' }) - 1;
}

function placesOf(segments: readonly AsSegment[]): Place[] {
  return segments.flatMap(({ type, asns }) =>
    type === 'set' || type === 'confedSet' ? [asns] : asns.map((asn): Place => [asn]),
  );
}
