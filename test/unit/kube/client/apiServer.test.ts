import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Subscription } from 'rxjs';
import type { ApiConnection } from '../../../../src/kube/client/apiConnection.js';
import { apiServerObjects } from '../../../../src/kube/client/apiServer.js';
import type { Kind } from '../../../../src/kube/objectTypes.js';
import { createProblemSet, type ProblemSet } from '../../../../src/kube/problems.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { answerList, answerStatus, bookmark, FakeApiServer, node, sendEvent, type Asked } from './fakeApiServer.js';

let server: FakeApiServer;
let connection: ApiConnection;
let clock: VirtualClock;
let subscription: Subscription | undefined;
/** `added Node/a` and the like, in order. */
let told: string[];
let synced: boolean;
let problems: ProblemSet;
let wake: (() => void) | undefined;

beforeEach(async () => {
  server = await FakeApiServer.start();
  connection = server.connect();
  clock = new VirtualClock();
  [told, synced, problems] = [[], false, createProblemSet()];
});
afterEach(async () => {
  subscription?.unsubscribe();
  connection.close();
  await server.stop();
});

function start(kinds: readonly Kind[] = ['Node']): void {
  subscription = apiServerObjects({ connection, kinds, clock, random: () => 0.5 }).subscribe(
    ({ batch, problems: found }) => {
      for (const [key, { change }] of batch.changes) told.push(`${change} ${key}`);
      synced ||= batch.synced;
      problems.report(found);
      wake?.();
    },
  );
}

/** Waits until it holds; the test's own time limit ends it otherwise. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds())
    await new Promise<void>(resolve => {
      wake = resolve;
    });
}

const texts = (): string[] => problems.list().map(({ subject, text }) => `${subject}: ${text}`);

/** Brings the source to a watch by a streamed list of `names`. */
async function streamed(...names: string[]): Promise<Asked> {
  start();
  const watch = await server.next();
  for (const name of names) sendEvent(watch, 'ADDED', node(name, '5'));
  sendEvent(watch, 'BOOKMARK', bookmark('9', true));
  await until(() => synced);
  return watch;
}

/** Lets the machine's wait go by, once it has begun. */
async function waitOver(problem: RegExp): Promise<void> {
  await until(() => texts().some(text => problem.test(text)));
  clock.advance(60_000);
}

describe('a kind that not every server has', () => {
  const path = '/apis/networking.k8s.io/v1/servicecidrs';
  const ranges = { metadata: { name: 'kubernetes', resourceVersion: '3' }, spec: { cidrs: ['10.96.0.0/16'] } };

  test('counts as empty, without a word, and is asked for again much later', async () => {
    start(['ServiceCIDR']);
    const asked = await server.next();
    expect(asked.path).toBe(path);
    answerStatus(asked, 404, 'the server could not find the requested resource');
    await until(() => synced);
    clock.advance(599_000);
    expect(server.untaken).toBe(0);
    clock.advance(601_000);
    const watch = await server.next();
    expect(watch.query).toMatchObject({ sendInitialEvents: 'true' });
    sendEvent(watch, 'ADDED', ranges);
    sendEvent(watch, 'BOOKMARK', bookmark('9', true));
    await until(() => told.length > 0);
    expect(told).toEqual(['added ServiceCIDR/kubernetes']);
    expect(texts()).toEqual([]);
  });

  test('that we may not read is a problem, and nobody waits for it', async () => {
    start(['ServiceCIDR']);
    answerStatus(await server.next(), 403, 'servicecidrs is forbidden');
    await until(() => synced);
    expect(texts()).toEqual([expect.stringMatching(/ServiceCIDR cannot be followed: 403: servicecidrs is forbidden/)]);
    clock.advance(60_000);
    const watch = await server.next();
    sendEvent(watch, 'ADDED', ranges);
    sendEvent(watch, 'BOOKMARK', bookmark('9', true));
    await until(() => texts().length === 0);
    expect(told).toEqual(['added ServiceCIDR/kubernetes']);
  });

  test('that vanishes takes its objects along', async () => {
    start(['ServiceCIDR']);
    const watch = await server.next();
    sendEvent(watch, 'ADDED', ranges);
    sendEvent(watch, 'BOOKMARK', bookmark('9', true));
    await until(() => synced);
    sendEvent(watch, 'ERROR', { kind: 'Status', code: 410, message: 'too old' });
    answerStatus(await server.next(), 404, 'the server could not find the requested resource');
    await until(() => told.length > 1);
    expect(told).toEqual(['added ServiceCIDR/kubernetes', 'deleted ServiceCIDR/kubernetes']);
  });
});

test('a kind that every server has is waited for, whatever the answer', async () => {
  start();
  answerStatus(await server.next(), 404, 'no');
  answerStatus(await server.next(), 404, 'no');
  await waitOver(/cannot be followed: 404/);
  expect(synced).toBe(false);
});

describe('the first list', () => {
  test('is streamed, and is whole when the server says so', async () => {
    start();
    const watch = await server.next();
    expect(watch.query).toMatchObject({ watch: 'true', sendInitialEvents: 'true', allowWatchBookmarks: 'true' });
    expect(watch.headers.authorization).toBe('Bearer secret');
    sendEvent(watch, 'ADDED', node('a', '5'));
    await until(() => told.length > 0);
    expect(synced).toBe(false);
    sendEvent(watch, 'BOOKMARK', bookmark('9', true));
    await until(() => synced);
    expect(told).toEqual(['added Node/a']);
  });

  test.each([400, 422])('comes in pages from a server that answers %d to a streamed one', async status => {
    start();
    answerStatus(await server.next(), status, 'sendInitialEvents is forbidden');
    const first = await server.next();
    expect(first.query).toEqual({ limit: '500' });
    answerList(first, [node('a', '1')], '7', 'more');
    const second = await server.next();
    expect(second.query).toEqual({ limit: '500', continue: 'more' });
    expect(synced).toBe(false);
    answerList(second, [node('b', '2')], '7');
    const watch = await server.next();
    expect(watch.query).toMatchObject({ watch: 'true', resourceVersion: '7' });
    expect(synced).toBe(true);
    expect(told).toEqual(['added Node/a', 'added Node/b']);
    expect(texts()).toEqual([]);
  });

  test('comes in pages from a server whose storage cannot stream, as it says in the first event', async () => {
    start();
    const refused = await server.next();
    const message = 'the required storage feature RequestWatchProgress is disabled';
    sendEvent(refused, 'ERROR', { kind: 'Status', code: 500, message });
    answerList(await server.next(), [node('a', '1')], '7');
    expect((await server.next()).query).toMatchObject({ watch: 'true', resourceVersion: '7' });
    expect(texts()).toEqual([]);
  });

  test('a continue token that expired begins the list anew', async () => {
    start();
    answerStatus(await server.next(), 400, 'no');
    answerList(await server.next(), [node('a', '1')], '7', 'more');
    answerStatus(await server.next(), 410, 'the continue token is too old');
    const again = await server.next();
    expect(again.query).toEqual({ limit: '500' });
    answerList(again, [node('b', '8')], '9');
    await until(() => synced);
    expect(told).toEqual(['added Node/a', 'added Node/b', 'deleted Node/a']);
  });
});

describe('the watch', () => {
  test('tells what changes, and nothing when only unused fields do', async () => {
    const watch = await streamed('a');
    sendEvent(watch, 'MODIFIED', {
      ...node('a', '10'),
      status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }], phase: 'x' },
    });
    sendEvent(watch, 'MODIFIED', node('a', '11', '10.244.2.0/24'));
    sendEvent(watch, 'ADDED', node('b', '12'));
    sendEvent(watch, 'DELETED', node('a', '13', '10.244.2.0/24'));
    await until(() => told.includes('deleted Node/a') || told.length >= 3);
    expect(told.at(-1) === 'deleted Node/a' || told.includes('deleted Node/a')).toBe(true);
    expect(told.filter(entry => entry === 'added Node/b')).toHaveLength(1);
  });

  test('goes on from the last version, a bookmark counts, when the server ends it in order', async () => {
    const watch = await streamed('a');
    sendEvent(watch, 'BOOKMARK', bookmark('42'));
    watch.response.end();
    const again = await server.next();
    expect(again.query).toMatchObject({ resourceVersion: '42' });
    expect(again.query).not.toHaveProperty('sendInitialEvents');
    expect(texts()).toEqual([]);
  });

  test('an object cut in two by the network arrives whole, whatever is in it', async () => {
    const watch = await streamed();
    const line = Buffer.from(
      `${JSON.stringify({ type: 'ADDED', object: { ...node('a', '10'), extra: 'zwölf €' } })}\n`,
    );
    for (const octet of [line.subarray(0, -15), line.subarray(-15, -10), line.subarray(-10)]) {
      watch.response.write(octet);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    await until(() => told.length > 0);
    expect(told).toEqual(['added Node/a']);
  });

  test('410 Gone in an event: everything is listed again, and what is known stays until the list is whole', async () => {
    const watch = await streamed('a', 'b');
    sendEvent(watch, 'ERROR', { kind: 'Status', code: 410, message: 'too old resource version' });
    const again = await server.next();
    expect(again.query).toMatchObject({ sendInitialEvents: 'true' });
    sendEvent(again, 'ADDED', node('b', '50'));
    sendEvent(again, 'ADDED', node('c', '51'));
    await until(() => told.includes('added Node/c'));
    expect(told).not.toContain('deleted Node/a');
    sendEvent(again, 'BOOKMARK', bookmark('60', true));
    await until(() => told.includes('deleted Node/a'));
    // Node b was there all along: nothing is told of it.
    expect(told).toEqual(['added Node/a', 'added Node/b', 'added Node/c', 'deleted Node/a']);
  });

  test('a connection that breaks is a problem until the server answers again, and costs no object', async () => {
    const watch = await streamed('a');
    watch.response.destroy();
    await waitOver(/cannot be followed/);
    expect(texts()[0]).toMatch(
      /^API server 127\.0\.0\.1:\d+: objects of kind Node cannot be followed: .*stays in force$/,
    );
    const again = await server.next();
    expect(again.query).toMatchObject({ resourceVersion: '9' });
    sendEvent(again, 'BOOKMARK', bookmark('43'));
    await until(() => texts().length === 0);
    expect(told).toEqual(['added Node/a']);
  });

  test('a line that is no JSON costs the connection, not the agent', async () => {
    const watch = await streamed('a');
    watch.response.write('<html>proxy error</html>\n');
    await waitOver(/the server sent something that is no event/);
    expect((await server.next()).query).toMatchObject({ resourceVersion: '9' });
  });

  test('waits as long as a busy server asks', async () => {
    const watch = await streamed('a');
    watch.response.destroy();
    await waitOver(/cannot be followed/);
    answerStatus(await server.next(), 429, 'too many requests', { 'retry-after': '20' });
    await until(() => texts().some(text => text.includes('429')));
    clock.advance(19_000);
    await new Promise(resolve => setTimeout(resolve, 20));
    expect(server.untaken).toBe(0);
    clock.advance(2_000);
    await server.next();
  });

  test('does not wait for days, nor for more than a timer takes', async () => {
    start();
    answerStatus(await server.next(), 503, 'maintenance', { 'retry-after': '99999999' });
    await until(() => texts().some(text => text.includes('503')));
    clock.advance(600_000);
    await server.next();
  });

  test.each([
    [401, 'Unauthorized'],
    [403, 'nodes is forbidden: User "x" cannot list resource "nodes"'],
    [503, 'apiserver is shutting down'],
  ])('status %d says why in the problem', async (status, message) => {
    start();
    answerStatus(await server.next(), status, message);
    await until(() => texts().length > 0);
    expect(texts()[0]).toContain(`${status}: ${message}`);
    expect(synced).toBe(false);
  });
});

describe('objects that are malformed', () => {
  test('cost themselves only, are named, and clear when they are mended or gone', async () => {
    const watch = await streamed('a');
    const broken = { ...node('bad', '10'), spec: { podCIDRs: ['10.244.0.0/99'] } };
    sendEvent(watch, 'ADDED', broken);
    sendEvent(watch, 'ADDED', node('good', '11'));
    await until(() => told.includes('added Node/good') && texts().length > 0);
    expect(texts()).toEqual([expect.stringMatching(/^Node bad: spec\.podCIDRs.*it is left out$/)]);
    sendEvent(watch, 'MODIFIED', node('bad', '12'));
    await until(() => texts().length === 0);
    expect(told).toContain('added Node/bad');
    sendEvent(watch, 'MODIFIED', { ...broken, metadata: { name: 'bad', resourceVersion: '13' } });
    await until(() => texts().length === 1);
    expect(texts()[0]).toMatch(/its last good state stays in force$/);
    expect(told).not.toContain('deleted Node/bad');
    sendEvent(watch, 'DELETED', { ...broken, metadata: { name: 'bad', resourceVersion: '14' } });
    await until(() => told.includes('deleted Node/bad'));
    expect(texts()).toEqual([]);
  });
});

test('of a kind of which only some objects are wanted, lists and watches ask for those alone', async () => {
  const fieldSelectors = { Pod: 'spec.nodeName=n1' };
  subscription = apiServerObjects({ connection, kinds: ['Pod', 'Node'], fieldSelectors, clock }).subscribe();
  const begun = [await server.next(), await server.next()];
  const ofPods = begun.find(({ path }) => path === '/api/v1/pods')!;
  const ofNodes = begun.find(asked => asked !== ofPods)!;
  expect(ofPods.query).toMatchObject({ sendInitialEvents: 'true', fieldSelector: 'spec.nodeName=n1' });
  expect(ofNodes.query).not.toHaveProperty('fieldSelector');
  answerStatus(ofPods, 422, 'sendInitialEvents is forbidden');
  const page = await server.next();
  expect(page.query).toEqual({ limit: '500', fieldSelector: 'spec.nodeName=n1' });
  answerList(page, [], '7');
  expect((await server.next()).query).toMatchObject({ resourceVersion: '7', fieldSelector: 'spec.nodeName=n1' });
});

test('all kinds together are synced when the last is', async () => {
  subscription = apiServerObjects({ connection, kinds: ['Node', 'Namespace'], clock }).subscribe(({ batch }) => {
    synced ||= batch.synced;
    wake?.();
  });
  const asked = [await server.next(), await server.next()];
  expect(asked.map(({ path }) => path).sort()).toEqual(['/api/v1/namespaces', '/api/v1/nodes']);
  sendEvent(asked[0]!, 'BOOKMARK', bookmark('1', true));
  await new Promise(resolve => setTimeout(resolve, 30));
  expect(synced).toBe(false);
  sendEvent(asked[1]!, 'BOOKMARK', bookmark('1', true));
  await until(() => synced);
});
