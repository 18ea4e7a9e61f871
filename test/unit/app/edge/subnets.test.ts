import { expect, test } from '@jest/globals';
import { startSubnetAsker } from '../../../../src/app/edge/subnetAsker.js';
import { startSubnetGiver } from '../../../../src/app/edge/subnetGiver.js';
import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import { createProblemSet } from '../../../../src/kube/problems.js';
import type { SubnetAsk } from '../../../../src/routing/edgeSubnets.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { prefix } from '../../routing/serviceCluster.js';
import { FakeCluster, settled } from '../loadBalancer/fakeCluster.js';

const PATH = '/api/v1/namespaces/peerage-edge/configmaps';

function setting() {
  const [cluster, clock, problems] = [new FakeCluster(), new VirtualClock(), createProblemSet()];
  const told: string[] = [];
  const state = { mayAct: true };
  const report = (found: Parameters<typeof problems.report>[0]): void => void problems.report(found);
  return {
    cluster,
    told,
    state,
    problems: () => problems.list().map(({ subject, text }) => `${subject} ${text}`),
    host: (name: string, ask: SubnetAsk): (() => void) =>
      startSubnetAsker({
        writer: cluster.writer(name),
        name,
        ask,
        clock,
        report,
        granted: subnets => told.push(`${name} has ${subnets.join(' and ')}`),
      }),
    leader: (): (() => void) =>
      startSubnetGiver({
        writer: cluster.writer('leader'),
        ranges: ['10.250.0.0/23', 'fd00:ed9e::/60'].map(prefix),
        mayAct: () => state.mayAct,
        clock,
        report,
        given: (host, subnets) => told.push(`${host} gets ${subnets}`),
      }),
    pass: async (seconds: number): Promise<void> => {
      for (let i = 0; i < seconds; i++) {
        clock.advance(1000);
        await settled();
      }
    },
  };
}

test('a host asks, the leader gives, and the host hears of it', async () => {
  const { host, leader, pass, told, problems, cluster } = setting();
  host('lb-1', { ipv4: 24, ipv6: 64 });
  await pass(3);
  expect(problems()).toEqual(['edge host lb-1 waits for a subnet: no agent of the cluster has given one yet']);
  leader();
  await pass(10);
  expect(told).toEqual(['lb-1 gets 10.250.0.0/24, fd00:ed9e::/64', 'lb-1 has 10.250.0.0/24 and fd00:ed9e::/64']);
  expect(problems()).toEqual([]);
  expect(cluster.objects.get(`${PATH}/lb-1`)).toMatchObject({
    kind: 'ConfigMap',
    data: { ask: 'ipv4/24, ipv6/64', subnets: '10.250.0.0/24, fd00:ed9e::/64' },
  });
});

test('a host that starts again has the subnet it had, and nobody writes anything', async () => {
  const { host, leader, pass, told, cluster } = setting();
  const stop = host('lb-1', { ipv4: 24 });
  leader();
  await pass(10);
  stop();
  const writes = cluster.log.filter(line => !line.startsWith('GET')).length;
  host('lb-1', { ipv4: 24 });
  await pass(10);
  expect(told.at(-1)).toBe('lb-1 has 10.250.0.0/24');
  expect(cluster.log.filter(line => !line.startsWith('GET'))).toHaveLength(writes);
});

test('another length is another subnet', async () => {
  const { host, leader, pass, told } = setting();
  const stop = host('lb-1', { ipv4: 24 });
  leader();
  await pass(10);
  stop();
  host('lb-1', { ipv4: 26 });
  await pass(40);
  expect(told.at(-1)).toBe('lb-1 has 10.250.0.0/26');
});

test('who gets none is told, and others are not held up', async () => {
  const { host, leader, pass, told, problems } = setting();
  host('a', { ipv4: 20 });
  host('b', { ipv4: 24 });
  leader();
  await pass(10);
  expect(told).toContain('b has 10.250.0.0/24');
  expect(problems()).toContain('edge host a gets no IPv4 subnet: no /20 is free');
});

test('a cluster that cannot be asked takes nothing away', async () => {
  const { host, leader, pass, told, problems, cluster } = setting();
  host('lb-1', { ipv4: 24 });
  leader();
  await pass(10);
  cluster.fault = () => new ApiError(undefined, 'connection refused');
  await pass(60);
  expect(told.at(-1)).toBe('lb-1 has 10.250.0.0/24');
  expect(problems()).toContain('edge host lb-1 cannot ask the cluster for a subnet: connection refused');
  cluster.fault = () => undefined;
  await pass(60);
  expect(problems()).toEqual([]);
});

test('who holds no Lease gives nothing', async () => {
  const { host, leader, pass, told, state } = setting();
  state.mayAct = false;
  host('lb-1', { ipv4: 24 });
  leader();
  await pass(20);
  expect(told).toEqual([]);
});
