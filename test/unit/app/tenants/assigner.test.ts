import { beforeEach, describe, expect, test } from '@jest/globals';
import { createAssigner, type Assigner } from '../../../../src/app/tenants/assigner.js';
import { requestChange } from '../../../../src/app/tenants/namespaceObject.js';
import { createNumberStore } from '../../../../src/app/tenants/numberStore.js';
import { systemClock } from '../../../../src/core/clock.js';
import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import type { Problem } from '../../../../src/kube/problems.js';
import { dueTasks } from '../../../../src/policy/tenants/assignment.js';
import {
  CHANGE_ANNOTATION,
  NUMBER_ANNOTATION,
  OPENSHIFT_CHANGE_ANNOTATION,
} from '../../../../src/policy/tenants/namespaceTenant.js';
import type { TenantRules } from '../../../../src/policy/tenants/resolveTenants.js';
import { LEASE, TenantCluster } from './tenantCluster.js';

const RULES: TenantRules = { global: new Set(['kube-system']), numbers: 'given' };

let cluster: TenantCluster;
let problems: readonly Problem[];
beforeEach(() => {
  cluster = new TenantCluster();
  problems = [];
});

interface Candidate {
  readonly assigner: Assigner;
  mayAct: boolean;
}

/** @param watched what its watch has told so far */
function candidate(who: string, watched = () => cluster.specs()): Candidate {
  const writer = cluster.writer(who);
  const taken = (): ReadonlySet<number> =>
    new Set([...watched().values()].flatMap(({ number }): number[] => (typeof number === 'number' ? [number] : [])));
  const self: { mayAct: boolean } = { mayAct: true };
  const assigner = createAssigner({
    writer,
    take: createNumberStore({ writer, lease: LEASE, identity: who, taken }),
    mayAct: () => self.mayAct,
    rules: () => RULES,
    clock: systemClock,
    report: found => {
      problems = [...found.values()].flat();
    },
    assigned: () => undefined,
  });
  return Object.assign(self, { assigner });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + 30_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`timeout: ${what}: ${JSON.stringify(cluster.numbers())}`);
    await new Promise(resolve => setTimeout(resolve, 2));
  }
}

async function lead(who = 'n1'): Promise<Candidate> {
  cluster.holder(who);
  const one = candidate(who);
  one.assigner.lead(true);
  one.assigner.want(dueTasks(cluster.specs(), RULES));
  await Promise.resolve();
  return one;
}

describe('numbers', () => {
  test('everybody gets one of its own, but those that are global anyway and those that have one', async () => {
    for (const name of ['a', 'b', 'kube-system']) cluster.namespace(name);
    cluster.namespace('old', { [NUMBER_ANNOTATION]: '10' });
    const { assigner } = await lead();
    await until('numbers', () => cluster.numbers()['a'] !== undefined && cluster.numbers()['b'] !== undefined);
    assigner.stop();
    const numbers = cluster.numbers();
    expect(new Set([numbers['a'], numbers['b']])).toEqual(new Set(['11', '12']));
    expect(numbers).toMatchObject({ old: '10', 'kube-system': undefined });
    expect(cluster.next).toBe('13');
  });

  test('a thousand at once are reserved at once', async () => {
    for (let i = 0; i < 1000; i++) cluster.namespace(`t${i}`);
    const { assigner } = await lead();
    await until('numbers', () => Object.values(cluster.numbers()).every(number => number !== undefined));
    assigner.stop();
    expect(new Set(Object.values(cluster.numbers())).size).toBe(1000);
    expect(cluster.log.filter(line => line.startsWith('n1 PUT'))).toHaveLength(1);
  }, 60_000);

  test('an answer that got lost costs a number, and none is given twice', async () => {
    cluster.namespace('a');
    cluster.namespace('b');
    let lost = 0;
    // The server wrote the number down; nobody heard.
    cluster.fault = (method, _path, _who, when) =>
      method === 'PATCH' && when === 'after' && lost++ === 0 ? new ApiError(undefined, 'no answer') : undefined;
    const { assigner } = await lead();
    await until('both', () => Object.values(cluster.numbers()).every(number => number !== undefined));
    assigner.stop();
    expect(new Set(Object.values(cluster.numbers())).size).toBe(2);
  });

  test('who is not the holder any more, and does not know, gives out none', async () => {
    cluster.namespace('a');
    cluster.namespace('b');
    const old = candidate('n1');
    cluster.holder('n1');
    // The old one has read the Lease and stands still; a new one takes over and gives a number to b, of which the old one's watch never hears.
    let isDone = false;
    cluster.meanwhile = async (method, path, who) => {
      if (who !== 'n1' || method !== 'PUT' || path !== LEASE || isDone) return;
      isDone = true;
      cluster.holder('n2');
      const next = candidate('n2');
      next.assigner.lead(true);
      next.assigner.want([{ namespace: 'b', kind: 'first' }]);
      await until('b', () => cluster.numbers()['b'] !== undefined);
      next.assigner.stop();
    };
    old.assigner.lead(true);
    old.assigner.want([{ namespace: 'a', kind: 'first' }]);
    await until('refusal', () => problems.length > 0);
    old.assigner.stop();
    expect(problems[0]?.text).toContain('is not held by n1');
    expect(cluster.numbers()).toEqual({ a: undefined, b: '10' });
  });

  test('a number that was reserved before the Lease was lost is nobody else’s, whenever it is written', async () => {
    cluster.namespace('a');
    cluster.namespace('b');
    cluster.holder('n1');
    const old = candidate('n1');
    let isDone = false;
    cluster.meanwhile = async (method, path, who) => {
      if (who !== 'n1' || method !== 'PATCH' || isDone) return;
      isDone = true;
      cluster.holder('n2');
      const next = candidate('n2', () => new Map());
      next.assigner.lead(true);
      next.assigner.want([{ namespace: 'b', kind: 'first' }]);
      await until('b', () => cluster.numbers()['b'] !== undefined);
      next.assigner.stop();
      expect(path).toContain('/a');
    };
    old.assigner.lead(true);
    old.assigner.want([{ namespace: 'a', kind: 'first' }]);
    await until('a', () => cluster.numbers()['a'] !== undefined);
    old.assigner.stop();
    expect(cluster.numbers()).toEqual({ a: '10', b: '11' });
  });
});

describe('changes', () => {
  const withNumbers = (): void => {
    cluster.namespace('a', { [NUMBER_ANNOTATION]: '10' });
    cluster.namespace('b', { [NUMBER_ANNOTATION]: '11' });
    cluster.namespace('kube-system');
  };

  test.each([
    [CHANGE_ANNOTATION, 'join:b', '11'],
    [OPENSHIFT_CHANGE_ANNOTATION, 'join:b', '11'],
    [OPENSHIFT_CHANGE_ANNOTATION, 'global', '0'],
    [CHANGE_ANNOTATION, 'join:kube-system', '0'],
    [CHANGE_ANNOTATION, 'isolate', '12'],
    [CHANGE_ANNOTATION, 'join:a', '10'],
  ])('%s: %s', async (key, text, number) => {
    withNumbers();
    cluster.namespace('a', { [NUMBER_ANNOTATION]: '10', [key]: text, other: 'stays' });
    const { assigner } = await lead();
    await until('change', () => dueTasks(cluster.specs(), RULES).length === 0);
    assigner.stop();
    expect(cluster.annotations('a')).toEqual({ [NUMBER_ANNOTATION]: number, other: 'stays' });
    expect(cluster.numbers()).toMatchObject({ b: '11' });
  });

  test('joining one that has no number yet waits for it', async () => {
    cluster.namespace('a', { [NUMBER_ANNOTATION]: '10', [CHANGE_ANNOTATION]: 'join:b' });
    cluster.namespace('b');
    const { assigner } = await lead();
    await until('change', () => dueTasks(cluster.specs(), RULES).length === 0);
    assigner.stop();
    expect(cluster.numbers()).toEqual({ a: '11', b: '11' });
  });

  test('joining one that is not there changes nothing and is told; others do not wait', async () => {
    withNumbers();
    cluster.namespace('a', { [NUMBER_ANNOTATION]: '10', [CHANGE_ANNOTATION]: 'join:nobody' });
    cluster.namespace('z', { [NUMBER_ANNOTATION]: '15', [CHANGE_ANNOTATION]: 'global' });
    const { assigner } = await lead();
    await until('problem', () => problems.length > 0 && cluster.numbers()['z'] === '0');
    assigner.stop();
    expect(problems).toEqual([{ subject: 'Namespace a', text: expect.stringContaining('which is not there') }]);
    expect(cluster.numbers()).toMatchObject({ a: '10' });
  });

  test('one that is changed in between is looked at again: the last word counts', async () => {
    withNumbers();
    cluster.namespace('a', { [NUMBER_ANNOTATION]: '10', [CHANGE_ANNOTATION]: 'join:b' });
    let isDone = false;
    cluster.meanwhile = method => {
      if (method !== 'PATCH' || isDone) return;
      isDone = true;
      cluster.namespace('a', { [NUMBER_ANNOTATION]: '10', [CHANGE_ANNOTATION]: 'global' });
    };
    const { assigner } = await lead();
    await until('change', () => dueTasks(cluster.specs(), RULES).length === 0);
    assigner.stop();
    expect(cluster.numbers()).toMatchObject({ a: '0' });
  });

  test('nothing is written by who may not act', async () => {
    withNumbers();
    cluster.namespace('a', { [NUMBER_ANNOTATION]: '10', [CHANGE_ANNOTATION]: 'global' });
    const one = await lead();
    one.mayAct = false;
    await until('a look', () => cluster.log.some(line => line.includes('/a')));
    one.assigner.stop();
    expect(cluster.log.filter(line => !line.includes(' GET '))).toEqual([]);
  });

  test('what is asked for stands on the Namespace; who is not there cannot be asked', async () => {
    withNumbers();
    const writer = cluster.writer('person');
    await requestChange(writer, 'a', { kind: 'join', namespace: 'b' });
    expect(cluster.annotations('a')).toEqual({ [NUMBER_ANNOTATION]: '10', [CHANGE_ANNOTATION]: 'join:b' });
    await expect(requestChange(writer, 'a', { kind: 'join', namespace: 'x' })).rejects.toThrow(
      'no namespace x to join',
    );
    await expect(requestChange(writer, 'x', { kind: 'global' })).rejects.toThrow('no namespace x');
  });
});
