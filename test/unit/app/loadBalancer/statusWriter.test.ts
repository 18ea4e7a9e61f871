import { expect, test } from '@jest/globals';
import { CONDITION } from '../../../../src/app/loadBalancer/statusPatch.js';
import { createStatusWriter } from '../../../../src/app/loadBalancer/statusWriter.js';
import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import { createProblemSet } from '../../../../src/kube/problems.js';
import type { WantedStatus } from '../../../../src/routing/loadBalancer/loadBalancer.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { FakeCluster, settled } from './fakeCluster.js';

const pathOf = (name: string): string => `/api/v1/namespaces/demo/services/${name}`;
const service = (name: string, rest: { readonly type?: string; readonly ips?: readonly string[] } = {}): object => ({
  kind: 'Service',
  metadata: { name, namespace: 'demo' },
  spec: { type: rest.type ?? 'LoadBalancer' },
  status: { loadBalancer: { ingress: (rest.ips ?? []).map(ip => ({ ip })) }, conditions: [{ type: 'theirs' }] },
});
const wanted = (name: string, ips: readonly string[], before: readonly string[] = []): WantedStatus => ({
  namespace: 'demo',
  name,
  ips,
  before,
  onlyOurs: false,
});

function writing() {
  const [cluster, clock, problems] = [new FakeCluster(), new VirtualClock(), createProblemSet()];
  const state = { mayAct: true, written: new Array<string>() };
  const writer = createStatusWriter({
    writer: cluster.writer(),
    mayAct: () => state.mayAct,
    clock,
    wallClock: () => Date.parse('2026-11-21T10:00:00Z'),
    report: report => void problems.report(report),
    written: ({ name, ips }) => state.written.push(`${name} ${ips.join()}`),
  });
  return {
    cluster,
    clock,
    state,
    want: async (...list: readonly WantedStatus[]): Promise<void> => {
      writer.want(new Map(list.map(status => [`demo/${status.name}`, status])));
      await settled();
    },
    pass: async (milliseconds: number): Promise<void> => {
      clock.advance(milliseconds);
      await settled();
    },
    status: (name: string): unknown => cluster.objects.get(pathOf(name))?.['status'],
    problems: () => problems.list().map(({ subject, text }) => `${subject} ${text}`),
    stop: () => writer.stop(),
  };
}

const ours = (message: string): object => ({
  type: CONDITION,
  status: 'True',
  reason: 'Allocated',
  message: `given out by the load balancer of peerage: ${message}`,
  lastTransitionTime: '2026-11-21T10:00:00.000Z',
});

test('an address is written with our mark, and what others say stays', async () => {
  const { cluster, want, status, state } = writing();
  cluster.put(pathOf('a'), service('a'));
  await want(wanted('a', ['192.0.2.1', 'fd00::1']));
  expect(status('a')).toEqual({
    loadBalancer: { ingress: [{ ip: '192.0.2.1' }, { ip: 'fd00::1' }] },
    conditions: [{ type: 'theirs' }, ours('192.0.2.1, fd00::1')],
  });
  expect(state.written).toEqual(['a 192.0.2.1,fd00::1']);
});

test('an address is taken back, and the mark with it', async () => {
  const { cluster, want, status } = writing();
  cluster.put(pathOf('a'), service('a'));
  await want(wanted('a', ['192.0.2.1']));
  await want();
  await want(wanted('a', [], ['192.0.2.1']));
  expect(status('a')).toEqual({ loadBalancer: {}, conditions: [{ type: 'theirs' }] });
});

test('of a service that is none of ours any more, only what we gave is taken back', async () => {
  const { cluster, want, status, state } = writing();
  cluster.put(pathOf('a'), service('a'));
  cluster.put(pathOf('b'), service('b', { ips: ['192.0.2.2'] }));
  await want(wanted('a', ['192.0.2.1']));
  await want();
  await want(...['a', 'b'].map((name, i) => ({ ...wanted(name, [], [`192.0.2.${i + 1}`]), onlyOurs: true })));
  expect([status('a'), status('b')]).toMatchObject([
    { loadBalancer: {} },
    { loadBalancer: { ingress: [{ ip: '192.0.2.2' }] } },
  ]);
  expect(state.written).toEqual(['a 192.0.2.1', 'a ']);
});

test('a service that changes in between is read again', async () => {
  const { cluster, want, pass, state } = writing();
  cluster.put(pathOf('a'), service('a'));
  let rival = 1;
  cluster.meanwhile = method => {
    if (method === 'PATCH' && rival-- > 0) cluster.put(pathOf('a'), service('a'));
  };
  await want(wanted('a', ['192.0.2.1']));
  expect(state.written).toEqual([]);
  await pass(500);
  expect(state.written).toEqual(['a 192.0.2.1']);
  expect(cluster.log.filter(line => line.startsWith('GET'))).toHaveLength(2);
});

test('a status that is another than was known is left alone until it is known', async () => {
  const { cluster, want, pass, state, status } = writing();
  cluster.put(pathOf('a'), service('a', { ips: ['192.0.2.7'] }));
  await want(wanted('a', ['192.0.2.1']));
  await pass(5000);
  expect([state.written, status('a')]).toMatchObject([[], { loadBalancer: { ingress: [{ ip: '192.0.2.7' }] } }]);
  await want(wanted('a', ['192.0.2.1'], ['192.0.2.7']));
  expect(state.written).toEqual(['a 192.0.2.1']);
});

test('other spellings of the same address are the same', async () => {
  const { cluster, want, state } = writing();
  cluster.put(pathOf('a'), service('a', { ips: ['FD00:0::1'] }));
  await want(wanted('a', ['fd00::2'], ['fd00::1']));
  expect(state.written).toEqual(['a fd00::2']);
});

test.each([
  ['gone', undefined],
  ['no balancer any more', service('a', { type: 'ClusterIP' })],
  ['being deleted', { ...service('a'), metadata: { name: 'a', deletionTimestamp: '2026-11-21T10:00:00Z' } }],
  ['as it shall be already', service('a', { ips: ['192.0.2.1'] })],
])('a service that is %s is left alone, without a word', async (_what, object) => {
  const { cluster, want, state, problems } = writing();
  if (object !== undefined) cluster.put(pathOf('a'), object);
  await want(wanted('a', ['192.0.2.1']));
  expect([state.written, problems(), cluster.log.filter(line => line.startsWith('PATCH'))]).toEqual([[], [], []]);
});

test('who does not lead writes nothing, also when that ends between reading and writing', async () => {
  const { cluster, want, pass, state } = writing();
  cluster.put(pathOf('a'), service('a'));
  state.mayAct = false;
  await want(wanted('a', ['192.0.2.1']));
  expect(cluster.log).toEqual([]);
  state.mayAct = true;
  cluster.meanwhile = () => (state.mayAct = false);
  await pass(1000);
  expect([cluster.log, state.written]).toEqual([[`GET ${pathOf('a')}`], []]);
});

test('a refusal is told, costs no other service anything, and is tried again ever more rarely', async () => {
  const { cluster, want, pass, state, problems } = writing();
  for (const name of ['a', 'b']) cluster.put(pathOf(name), service(name));
  const asked: string[] = [];
  cluster.fault = (_method, path) => {
    asked.push(path);
    return path.startsWith(pathOf('a')) ? new ApiError(403, '403: forbidden') : undefined;
  };
  await want(wanted('a', ['192.0.2.1']), wanted('b', ['192.0.2.2']));
  expect(state.written).toEqual(['b 192.0.2.2']);
  expect(problems()).toEqual([
    'Service demo/a its load-balancer address cannot be written: 403: forbidden; it is tried again',
  ]);
  await want(wanted('a', ['192.0.2.1']));
  for (let i = 0; i < 20; i++) await pass(1000);
  expect(asked.filter(path => path === pathOf('a')).length).toBeLessThan(8);
  cluster.fault = () => undefined;
  for (let i = 0; i < 40; i++) await pass(1000);
  expect([state.written, problems()]).toEqual([['b 192.0.2.2', 'a 192.0.2.1'], []]);
});

test('what somebody overwrites is written again', async () => {
  const { cluster, want, pass, state } = writing();
  cluster.put(pathOf('a'), service('a'));
  await want(wanted('a', ['192.0.2.1']));
  cluster.put(pathOf('a'), service('a'));
  await pass(10_000);
  expect(state.written).toEqual(['a 192.0.2.1', 'a 192.0.2.1']);
});

test('hundreds are written a few at a time, and none after the end', async () => {
  const { cluster, want, state, stop, pass } = writing();
  const names = Array.from({ length: 200 }, (_, i) => `s${i}`);
  for (const name of names) cluster.put(pathOf(name), service(name));
  let [busy, most] = [0, 0];
  cluster.meanwhile = method => {
    busy += method === 'GET' ? 1 : -1;
    most = Math.max(most, busy);
  };
  for (let i = 0; i < 40; i++) await want(...names.map(name => wanted(name, ['192.0.2.1'])));
  expect([state.written.length, most <= 8]).toEqual([200, true]);
  cluster.put(pathOf('s0'), service('s0'));
  stop();
  await pass(60_000);
  expect(state.written).toHaveLength(200);
});
