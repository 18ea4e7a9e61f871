/** What a cleanup takes away of direct server return, when pods cannot be looked into. Needs root. (Tunnels: interop/vm/suites/dsr.ts.) */

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openRouteChannel, type NetlinkChannel } from '../../src/kernel/netlink/channel.js';
import type { ContainerRuntime } from '../../src/proxy/dsr/containerRuntime.js';
import { removeDirectReturn } from '../../src/proxy/dsr/dsrLeftovers.js';
import { createDsrRouteTarget, ruleKey } from '../../src/proxy/dsr/dsrRoutes.js';
import { makeNamespace, type Namespace } from './namespace.js';

const VIP = '203.0.113.7/32';

let node: Namespace;
let channel: NetlinkChannel;
let asked = 0;
beforeEach(() => {
  node = makeNamespace('pgdl-node');
  channel = node.inside(openRouteChannel);
  asked = 0;
});
afterEach(() => {
  channel.close();
  node.remove();
});

async function serve(): Promise<void> {
  const keys = [ruleKey(4), VIP].map(key => [key, { value: '', before: undefined }] as const);
  const failed = await createDsrRouteTarget(channel).commit({ set: new Map(keys), removed: new Map() });
  expect([...failed]).toEqual([]);
}

const runtime = (namespaces: readonly string[]): ContainerRuntime => ({
  list: () => Promise.resolve(['one', 'gone', 'host']),
  sandbox: id =>
    Promise.resolve(
      id === 'gone' ? undefined : { id, addresses: ['10.244.1.7'], namespaces: id === 'host' ? [] : namespaces },
    ),
  close: () => undefined,
});

function remove(answer: ContainerRuntime | string): ReturnType<typeof removeDirectReturn> {
  return removeDirectReturn(channel, () => {
    asked += 1;
    return Promise.resolve(answer);
  });
}

test('where nothing was ever served so, nobody is asked about pods', async () => {
  expect(await remove('no runtime')).toEqual({ removed: [], left: [] });
  expect(asked).toBe(0);
});

test.each([
  ['there is no runtime', 'no runtime here', 'tunnels in pods: no runtime here'],
  ['a pod cannot be entered', runtime(['/run/netns/pgdl-none']), /^tunnels in pod 10\.244\.1\.7: .*cannot be entered/],
] as const)('%s: that is said, and the next cleanup asks again', async (_what, answer, said) => {
  await serve();
  const { removed, left } = await remove(answer);
  expect(removed).toEqual(['1 rules and routes of direct server return']);
  expect(left).toEqual([expect.stringMatching(said)]);
  expect(node.ip('route show table all')).not.toContain('table 190');
  expect(await remove(runtime([]))).toEqual({ removed: ['1 rules and routes of direct server return'], left: [] });
  expect(node.ip('rule show')).not.toContain('lookup 190');
});

test('a pod without a tunnel has nothing to lose', async () => {
  await serve();
  const pod = makeNamespace('pgdl-pod');
  try {
    const { removed, left } = await remove(runtime(['/run/netns/pgdl-pod']));
    expect([removed, left]).toEqual([['2 rules and routes of direct server return'], []]);
  } finally {
    pod.remove();
  }
});
