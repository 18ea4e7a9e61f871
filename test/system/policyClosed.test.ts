/** With default deny, and beside the service proxy: pods that nobody knows yet are closed, and services judged at their endpoints. */

import { expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { moreAnswers } from '../../lab/traffic/callers.js';
import { CLUSTER_IPS, serveServer } from './policyService.js';
import { withPolicyWorld } from './policySetUp.js';
import { onlyFrom, PATIENCE, podObject, whenDenied } from './policyWorld.js';

const world = withPolicyWorld('pgpcl', {
  run: { firewall: true, serviceProxy: true },
  proxy: { mode: 'nftables' },
  firewall: { defaultDeny: true },
});

test('a pod that the agent does not know reaches nobody, until it does; the agent gone, it stays so', async () => {
  const [friend, newcomer] = [world().calls('friend'), world().calls('newcomer')];
  await moreAnswers([friend, newcomer], 20, PATIENCE);
  world().remove('newcomer');
  const before = await whenDenied(newcomer, friend);
  await world().agent.program.end('SIGKILL');
  await moreAnswers([friend], 40, PATIENCE);
  world().agent.restart();
  await world().logged('policies are in force');
  await moreAnswers([friend], 40, PATIENCE);
  expect((await newcomer.count()).answered).toBe(before);
  world().write('newcomer', podObject('newcomer'));
  await moreAnswers([newcomer], 20, PATIENCE);
  expect((await friend.stop()).failures).toEqual([]);
}, 400_000);

test('what comes by a service is judged at the endpoint', async () => {
  await serveServer(world());
  const [friend, stranger] = [world().calls('friend', CLUSTER_IPS, 80), world().calls('stranger', CLUSTER_IPS, 80)];
  await moreAnswers([friend, stranger], 40, PATIENCE);
  world().write('policy', onlyFrom('friend'));
  await whenDenied(stranger, friend);
  world().write('policy', onlyFrom('friend', 'stranger'));
  await moreAnswers([stranger], 40, PATIENCE);
  expect((await friend.stop()).failures).toEqual([]);
}, 400_000);

test('without the router the firewall goes on, and nobody speaks BGP', async () => {
  const listening = async (): Promise<string> => (await world().topology.exec('one', 'ss', ['-ltnH'])).stdout;
  const [friend, stranger] = [world().calls('friend'), world().calls('stranger')];
  world().write('policy', onlyFrom('friend'));
  await whenDenied(stranger, friend);
  expect(await listening()).toContain(':179 ');
  await world().agent.program.end();
  world().agent.configure(stringify({ kubernetes: { run: { router: false, firewall: true } } }));
  const stray = ['10.250.0.0/16', 'dev', 'lo', 'proto', '186', 'metric', '20'];
  await world().topology.exec('one', 'ip', ['route', 'add', ...stray]);
  world().agent.restart();
  await world().logged('run.router is off: routes (1, protocol 186) of a router that ran here are left as they are');
  await world().logged('policies are in force');
  expect(await listening()).not.toContain(':179 ');
  expect((await world().topology.exec('one', 'ip', ['-br', 'link'])).stdout).not.toContain('kube-bridge');
  world().write('policy', onlyFrom('stranger'));
  await whenDenied(friend, stranger);
}, 400_000);

test('without its firewall the agent takes the tables away', async () => {
  await world().agent.program.end();
  const tables = async (): Promise<string> => (await world().topology.exec('one', 'nft', ['list', 'tables'])).stdout;
  expect(await tables()).toContain('peerage-policy');
  world().agent.configure(
    'kubernetes: { run: { firewall: false }, cni: { enabled: false }, egress: { enabled: false } }',
  );
  world().agent.restart();
  await world().logged('network policies of a former life are taken away');
  expect(await tables()).not.toContain('peerage-policy');
}, 400_000);

test('started cold and cut off from its cluster, default deny closes pods all the same', async () => {
  await world().agent.program.end();
  const [node, friend] = [world().calls('one'), world().calls('friend')];
  await moreAnswers([node, friend], 40, PATIENCE);
  const cutOff = world().startCutOff({ firewall: { defaultDeny: true } });
  const before = await whenDenied(friend, node);
  await cutOff.program.end();
  await moreAnswers([node], 40, PATIENCE);
  expect((await friend.count()).answered).toBe(before);
  expect((await node.stop()).failures).toEqual([]);
}, 400_000);
