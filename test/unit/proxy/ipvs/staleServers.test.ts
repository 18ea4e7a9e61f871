/** What a former life left for services that are gone, and when frontends that go are told to be gone. */

import { expect, test } from '@jest/globals';
import { frontendKey } from '../../../../src/proxy/proxyTypes.js';
import type { FakeIpvsKernel } from './fakeIpvsKernel.js';
import { address, ipText, openWorld, prefix, serving, settings, type SomeService } from './ipvsWorld.js';

const WEB: SomeService = { name: 'w', pods: [1, 2] };
const OTHER = '10.96.0.120 6 80';

async function formerLife(): Promise<FakeIpvsKernel> {
  const { kernel, servers } = await serving([
    { ...WEB, nodePort: 30080 },
    { name: 'x', pods: [3] },
  ]);
  await servers.stop();
  return kernel;
}

test('servers at no place and addresses of nobody go first of all, and nothing else', async () => {
  const kernel = await formerLife();
  const before = kernel.lines;
  const world = openWorld(kernel);
  world.want([{ name: 'x', pods: [7] }]);
  await world.servers.sweep();
  const after = before.filter(line => line.includes('10.96.0.120') || line.startsWith('written'));
  expect(kernel.lines).toEqual(after);
  expect(after).toContain(`${OTHER} -> 10.244.0.3 8080 1 0`);
  world.servers.begin();
  await world.pass();
  expect(kernel.lines.filter(line => line.startsWith('written'))).toEqual([]);
  expect(world.kinds()).not.toContain('failed');
});

test('a server that only lacks somebody to serve it may let connections end', async () => {
  const kernel = await formerLife();
  const world = openWorld(kernel);
  world.want([
    { ...WEB, nodePort: 30080 },
    { name: 'x', pods: [] },
  ]);
  const before = kernel.lines;
  await world.servers.sweep();
  expect(kernel.lines).toEqual(before);
});

test('addresses on the link that nobody wants go too; what is excluded and foreign stays', async () => {
  const kernel = await formerLife();
  const onLink = (text: string) => ({ ifindex: 9, address: address(text), length: 32, scope: 0, flags: 0 });
  kernel.addresses = ['10.96.0.7', '10.96.0.119'].map(onLink);
  const foreign = { address: address('192.168.9.1'), protocol: 6, port: 9999, scheduler: 'rr', flags: 0, timeout: 0 };
  await kernel.ipvs.run([{ kind: 'server', command: 'add', server: foreign }]);
  const world = openWorld(kernel, settings({ excludedCidrs: [prefix('10.96.0.120/32')] }));
  world.want([WEB]);
  await world.servers.sweep();
  expect(kernel.addresses).toEqual([onLink('10.96.0.119')]);
  expect(kernel.lines).toContain(`${OTHER} rr 0 0`);
  expect(kernel.lines).toContain('192.168.9.1 6 9999 rr 0 0');
});

test('a kernel that does not answer is an error, and the rest goes on', async () => {
  const kernel = await formerLife();
  const world = openWorld(kernel);
  kernel.onReading = () => {
    throw new Error('busy');
  };
  await world.servers.sweep();
  expect(world.kinds()).toEqual(['error']);
  kernel.onReading = () => undefined;
  world.servers.begin();
  await world.pass();
  expect(kernel.lines).toEqual([]);
});

test('a frontend is told to be gone when its address is, too', async () => {
  const world = await serving([WEB]);
  let left: readonly string[] = ['nothing was told'];
  const { events } = world;
  events.push = (...told) => {
    if (told.some(({ kind }) => kind === 'removed')) left = world.kernel.lines;
    return Array.prototype.push.apply(events, told);
  };
  world.want([]);
  await world.pass();
  expect(left).toEqual([]);
});

test('one whose place is another’s now is gone all the same', async () => {
  const port = { name: 'w', pods: [1], nodePort: 80 } as const;
  const world = await serving([port, { name: 'x', pods: [3], external: '192.168.9.1' }]);
  world.want([port, { name: 'x', pods: [3] }]);
  await world.pass();
  const removed = world.events.flatMap(event => (event.kind === 'removed' ? event.frontends : []));
  expect(removed).toEqual([frontendKey(4, ipText('192.168.9.1'), 'TCP', 80)]);
});
