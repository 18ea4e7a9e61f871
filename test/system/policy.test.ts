/** The agent enforces network policies: what pods see of it, while policies, pods and the agent itself come and go. */

import { expect, test } from '@jest/globals';
import { waitFor } from '../../lab/topology/commands.js';
import { moreAnswers } from '../../lab/traffic/callers.js';
import { NftMonitor } from '../../lab/traffic/nftMonitor.js';
import { withPolicyWorld } from './policySetUp.js';
import { onlyFrom, PATIENCE, podObject, whenDenied } from './policyWorld.js';

const world = withPolicyWorld('pgpol');

test('a policy that comes, changes and goes is in force for new connections in both families', async () => {
  const [friend, stranger] = [world().calls('friend'), world().calls('stranger')];
  await moreAnswers([friend, stranger], 40, PATIENCE);
  world().write('policy', onlyFrom('friend'));
  await whenDenied(stranger, friend);
  expect(await world().peerage('show', 'policies')).toMatch(/NetworkPolicy demo\/server .*1 rule .*programmed/);
  world().write('policy', onlyFrom('friend', 'stranger'));
  await moreAnswers([stranger], 40, PATIENCE);
  world().write('policy', onlyFrom('friend'));
  await whenDenied(stranger, friend);
  world().write('stranger', podObject('stranger', { app: 'friend' }));
  await moreAnswers([stranger], 40, PATIENCE);
  world().write('stranger', podObject('stranger'));
  await whenDenied(stranger, friend);
  world().remove('policy');
  await moreAnswers([stranger], 40, PATIENCE);
  expect((await friend.stop()).failures).toEqual([]);
}, 400_000);

test('who is denied and why: the running agent says it', async () => {
  world().write('policy', onlyFrom('friend'));
  const explain = (from: string): Promise<string> =>
    world().peerage('explain', 'policy', '--from', `demo/${from}`, '--to', 'demo/server', '--port', '8080');
  await waitFor('the verdict', PATIENCE, async () =>
    /DENIED[^]*kernel: the same\n$/.test(await explain('stranger')) ? true : undefined,
  );
  expect(await explain('stranger')).toContain('selected by NetworkPolicy demo/server, and no ingress rule holds');
  expect(await explain('friend')).toMatch(/^ALLOWED {2}demo\/friend -> demo\/server port 8080\/tcp\n/);
  expect(await world().peerage('policy', 'matrix', '--port', '8080')).toMatch(/demo\/stranger .*X/);
  world().remove('policy');
}, 400_000);

test('killed and started again: who is denied stays so at every instant, who is allowed loses nothing', async () => {
  world().write('policy', onlyFrom('friend'));
  const [friend, stranger] = [world().calls('friend'), world().calls('stranger')];
  const before = await whenDenied(stranger, friend);
  const monitor = await NftMonitor.start(world().topology, 'one');
  await world().agent.program.end('SIGKILL');
  await moreAnswers([friend], 100, PATIENCE);
  world().agent.restart();
  await world().logged('policies are in force');
  await moreAnswers([friend], 100, PATIENCE);
  expect(await monitor.changes()).toEqual([]);
  await monitor.end();
  await world().agent.program.end('SIGTERM');
  await moreAnswers([friend], 100, PATIENCE);
  world().agent.restart();
  await world().logged('policies are in force');
  await moreAnswers([friend], 100, PATIENCE);
  expect((await stranger.count()).answered).toBe(before);
  expect((await friend.stop()).failures).toEqual([]);
  world().remove('policy');
}, 400_000);
