import { expect, test } from '@jest/globals';
import { runElection, type RunningElection } from '../../../../src/app/loadBalancer/lease.js';
import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { FakeCluster, settled } from './fakeCluster.js';

const PATH = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/lb';

/** Agents that stand for the same Lease, on one clock. */
function agents(...names: readonly string[]) {
  const [cluster, clock] = [new FakeCluster(), new VirtualClock()];
  const told: string[] = [];
  const stand = (identity: string): RunningElection =>
    runElection({
      writer: cluster.writer(identity),
      namespace: 'kube-system',
      name: 'lb',
      identity,
      clock,
      wallClock: () => Date.parse('2026-11-21T10:00:00Z') + clock.now(),
      random: () => 0,
      pace: () => 4000,
      leading: isLeading => told.push(`${identity} ${isLeading ? 'leads' : 'ceases'}`),
      hindered: text => told.push(`${identity}: ${text ?? 'fine again'}`),
    });
  const running = new Map(names.map(name => [name, stand(name)]));
  const pass = async (seconds: number): Promise<void> => {
    for (let i = 0; i < seconds * 10; i++) {
      clock.advance(100);
      await settled();
    }
  };
  const spec = (): unknown => cluster.objects.get(PATH)?.['spec'];
  return { cluster, clock, told, stand, running, pass, spec, of: (name: string) => running.get(name)! };
}

test('one of two leads, and goes on renewing; the object is a Lease as the API has it', async () => {
  const { told, pass, spec, of, cluster } = agents('a', 'b');
  await settled();
  await pass(20);
  expect(told).toEqual(['a leads']);
  expect([of('a').mayAct(), of('b').mayAct()]).toEqual([true, false]);
  expect(spec()).toEqual({
    holderIdentity: 'a',
    leaseDurationSeconds: 15,
    acquireTime: '2026-11-21T10:00:00.000000Z',
    renewTime: '2026-11-21T10:00:20.000000Z',
    leaseTransitions: 0,
  });
  expect(cluster.objects.get(PATH)).toMatchObject({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'lb', namespace: 'kube-system' },
  });
});

test('who goes gives the Lease back, and the next one does not wait for it to run out', async () => {
  const { told, pass, of, spec } = agents('a', 'b');
  await pass(5);
  await of('a').stop();
  expect(spec()).not.toHaveProperty('holderIdentity');
  await pass(4);
  expect(told).toEqual(['a leads', 'a ceases', 'b leads']);
});

test('a leader that the server does not hear ceases, says so, and the other one takes over', async () => {
  const { told, pass, cluster, of } = agents('a', 'b');
  await pass(5);
  cluster.fault = (_method, _path, who) => (who === 'a' ? new ApiError(undefined, 'no answer') : undefined);
  await pass(25);
  expect(told[0]).toBe('a leads');
  expect(told).toContain('a: no answer');
  expect(told.indexOf('a ceases')).toBeLessThan(told.indexOf('b leads'));
  expect(of('a').mayAct() && of('b').mayAct()).toBe(false);
});

test('after its own restart it goes on at once', async () => {
  const { told, pass, stand, cluster } = agents();
  const lease = { kind: 'Lease', metadata: { name: 'lb' }, spec: { holderIdentity: 'a', leaseDurationSeconds: 15 } };
  cluster.put(PATH, lease);
  stand('a');
  await pass(1);
  expect(told).toEqual(['a leads']);
});

test('what others wrote into the object stays', async () => {
  const { pass, cluster, stand } = agents();
  cluster.put(PATH, { kind: 'Lease', metadata: { name: 'lb', labels: { mine: 'yes' } }, spec: {} });
  stand('a');
  await pass(5);
  expect(cluster.objects.get(PATH)?.metadata).toMatchObject({ labels: { mine: 'yes' } });
});

test('a Lease that somebody deletes is made again', async () => {
  const { pass, cluster, told, spec } = agents('a');
  await pass(3);
  cluster.objects.delete(PATH);
  await pass(5);
  expect(told).toEqual(['a leads']);
  expect(spec()).toMatchObject({ holderIdentity: 'a' });
});

test('without the right to it the reason is told, until there is one', async () => {
  const { pass, cluster, told } = agents('a');
  cluster.fault = () => new ApiError(403, '403: leases is forbidden');
  await pass(5);
  cluster.fault = () => undefined;
  await pass(10);
  expect(told[0]).toBe('a: 403: leases is forbidden');
  expect(told.slice(-2)).toEqual(['a: fine again', 'a leads']);
});
