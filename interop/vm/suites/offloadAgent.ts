/**
 * The short way of established connections through the whole program, in a guest whose kernel has flowtables: a change of
 * policies ends it, also one that came while no agent ran; an agent that stops leaves it, the next one goes on with it; and
 * who comes in the place of a pod is judged anew. On request, since the program takes minutes to start there:
 * PEERAGE_VM_SUITES=offloadAgent, with dist/ built.
 */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeNamespace } from '../../../test/kernel/namespace.js';
import { networkPolicy, NODE, PODS } from '../../../test/kernel/policyRig.js';
import { startActor } from '../../../test/kernel/proxyActor.js';
import { ADDRESSES, openCast, PORT, type ActorName, type Cast } from '../../../test/kernel/proxyRig.js';
import { ONLY_C } from '../policyNode.js';
import { vmSuite } from '../suite.js';
import { openTracked, type Tracked } from '../tracked.js';

/** Milliseconds: what is cut never comes; what is allowed takes seconds; and the program minutes. */
const [NEVER, PATIENCE, START] = [4000, 120_000, 900_000];
const [IN_FORCE, JUDGED] = ['policies are in force', 'connections judged by new policies'];
const { client: CLIENT, a: A, b: B, c: C } = ADDRESSES[4];

const configured = (flowOffload: 'auto' | 'off'): object => ({
  kubernetes: {
    run: { router: false, serviceProxy: false, firewall: true },
    cni: { enabled: false, forward: 'off' },
    egress: { enabled: false },
    firewall: { flowOffload },
  },
});

/** Nobody may talk to the pod that comes in the place of b. */
const CLOSED = networkPolicy('closed', { podSelector: { matchLabels: { pod: 'd' } }, policyTypes: ['Ingress'] });

interface World extends Cast, Tracked {
  readonly folder: string;
  agent: ChildProcess;
}

let opened: World | undefined;
const ends: (() => Promise<void> | void)[] = [];

function world(): World {
  if (opened === undefined) throw new Error('the agent does not run');
  return opened;
}

/** @param object undefined: the file is taken away */
function write(folder: string, name: string, object: unknown): void {
  const path = join(folder, 'objects', `${name}.json`);
  if (object === undefined) {
    rmSync(path);
    return;
  }
  writeFileSync(`${path}.new`, JSON.stringify(object));
  renameSync(`${path}.new`, path);
}

function startAgent(node: string, folder: string): ChildProcess {
  const log = openSync(join(folder, 'log'), 'a');
  const place = (file: string): string => join(folder, file);
  const agent = spawn(
    'ip',
    [
      ...['netns', 'exec', node, process.execPath, 'dist/cli/main.js', 'agent', '--node-name', 'n1'],
      ...['--manifests', place('objects'), '--config', place('agent.yaml'), '--control', place('control.sock')],
    ],
    { stdio: ['ignore', log, log] },
  );
  closeSync(log);
  return agent;
}

const log = (): string => readFileSync(join(world().folder, 'log'), 'utf8');

/** Looks once a second: the guest has one slow processor. */
async function atLast(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + START;
  while (!(await holds())) {
    await delay(1000);
    if (world().agent.exitCode !== null) throw new Error(`the agent has ended: ${log()}`);
    if (Date.now() > end) throw new Error(`not so: ${what}; the agent says: ${log()}`);
  }
}

const inForce = (times: number): Promise<void> =>
  atLast(`policies in force for the ${times}. time`, () => log().split(IN_FORCE).length > times);

async function build(): Promise<void> {
  const cast = await openCast('pvo');
  const folder = mkdtempSync('/tmp/offload-');
  mkdirSync(join(folder, 'objects'));
  writeFileSync(join(folder, 'agent.yaml'), JSON.stringify(configured('auto')));
  for (const [i, object] of PODS.entries()) write(folder, `object-${i}`, object === NODE ? withNetworks() : object);
  opened = { ...cast, ...openTracked(cast), folder, agent: startAgent(cast.node.name, folder) };
  await inForce(1);
  await atLast('the table', () => world().inNode('nft list tables').includes('peerage-offload'));
}

function withNetworks(): object {
  return { ...NODE, spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24', 'fd44:1::/64'] } };
}

async function endAgent(): Promise<void> {
  const { agent } = world();
  if (agent.exitCode !== null) return;
  const ended = once(agent, 'exit');
  agent.kill('SIGTERM');
  await ended;
}

const askKept = (from: ActorName, name: string, patience = PATIENCE): Promise<string> =>
  world().actors[from].askKept(name, patience);

async function keep(from: ActorName, address: string, name: string, server: string): Promise<void> {
  const question = { protocol: 'tcp', address, port: PORT, patience: PATIENCE, keep: name } as const;
  assert.match(await world().actors[from].ask(question), new RegExp(`^${server} `));
}

/** The folder is read a moment after it has changed: until then packets pass. */
const untilSilent = (from: ActorName, name: string): Promise<void> =>
  atLast(`${name} is cut`, async () => (await askKept(from, name, NEVER)) === 'silence');

export const offloadAgent = vmSuite('offloadAgent', 3600, ({ check, prepare, cleanup }) => {
  prepare('a node with an agent, and connections on the short way', async () => {
    await build();
    for (const from of ['client', 'c'] as const) await keep(from, A, 'to-a', 'a');
    await world().untilOffloaded('client', 'to-a', CLIENT, A);
    await world().untilOffloaded('c', 'to-a', C, A);
  });
  check('a policy that comes cuts what it forbids, and only that', async () => {
    const { actors, folder, isOffloaded, untilOffloaded } = world();
    write(folder, 'policy', ONLY_C);
    await untilSilent('client', 'to-a');
    assert.ok(!isOffloaded('tcp', CLIENT, A));
    const anew = { protocol: 'tcp', address: A, port: PORT, patience: NEVER } as const;
    assert.equal(await actors.client.ask(anew), 'silence');
    assert.match(await askKept('c', 'to-a'), /^a /);
    await untilOffloaded('c', 'to-a', C, A);
  });
  check('when it goes, the connection goes on, by the short way', async () => {
    write(world().folder, 'policy', undefined);
    await world().untilOffloaded('client', 'to-a', CLIENT, A);
  });
  check('an agent that has stopped leaves the short way as it is', async () => {
    const { inNode, isOffloaded, seen } = world();
    await endAgent();
    assert.ok(inNode('nft list tables').includes('peerage-offload'));
    const before = seen();
    for (let i = 0; i < 3; i++) assert.match(await askKept('client', 'to-a'), /^a /);
    assert.equal(seen(), before);
    assert.ok(isOffloaded('tcp', CLIENT, A));
  });
  check('the next one loses no connection, and ends what was forbidden meanwhile', async () => {
    const { folder, isOffloaded, node, untilOffloaded } = world();
    write(folder, 'policy', ONLY_C);
    world().agent = startAgent(node.name, folder);
    await atLast('the second start', async () => {
      assert.match(await askKept('c', 'to-a'), /^a /);
      return log().split(IN_FORCE).length > 2;
    });
    await untilSilent('client', 'to-a');
    assert.ok(!isOffloaded('tcp', CLIENT, A));
    await untilOffloaded('c', 'to-a', C, A);
  });
  check('a pod in the place of another is sent nothing that it may not receive', async () => {
    const { actors, folder, isOffloaded, node, untilOffloaded } = world();
    await keep('client', B, 'to-b', 'b');
    await untilOffloaded('client', 'to-b', CLIENT, B);
    const [index] = PODS.flatMap((object, i) => (JSON.stringify(object).includes('"name":"b"') ? [i] : []));
    node.ip('link del to-b');
    write(folder, `object-${index}`, undefined);
    assert.ok(!isOffloaded('tcp', CLIENT, B));
    const judged = log().split(JUDGED).length;
    write(folder, 'closed', CLOSED);
    write(folder, 'pod-d', JSON.parse(JSON.stringify(PODS[index!]).replaceAll('"b"', '"d"')));
    const pod = makeNamespace('pvo-d');
    ends.push(() => pod.remove());
    node.ip('link add to-d type veth peer name eth0 netns pvo-d');
    pod.ip(`addr add ${B}/32 dev eth0`);
    pod.ip('link set eth0 up');
    pod.ip('route add 10.1.2.1/32 dev eth0');
    pod.ip('route add default via 10.1.2.1');
    node.ip('addr add 10.1.2.1/32 dev to-d');
    const server = startActor('pvo-d');
    ends.push(() => server.stop());
    await server.serve('d', PORT);
    node.ip('link set to-d up');
    node.ip(`route replace ${B}/32 dev to-d`);
    await atLast('the connection is judged anew', () => log().split(JUDGED).length > judged);
    const anew = { protocol: 'tcp', address: B, port: PORT, patience: NEVER } as const;
    await atLast('d is closed', async () => (await actors.client.ask(anew)) === 'silence');
    assert.equal(await askKept('client', 'to-b', NEVER), 'silence');
    assert.ok(!isOffloaded('tcp', CLIENT, B));
  });
  check('with the switch off, the next agent takes it away and connections go on', async () => {
    const { folder, inNode, node, seen } = world();
    await endAgent();
    writeFileSync(join(folder, 'agent.yaml'), JSON.stringify(configured('off')));
    world().agent = startAgent(node.name, folder);
    await inForce(3);
    assert.ok(!inNode('nft list tables').includes('peerage-offload'));
    const before = seen();
    assert.match(await askKept('c', 'to-a'), /^a /);
    assert.ok(seen() > before);
  });
  cleanup('take it down', async () => {
    if (opened === undefined) return;
    console.log(log());
    await endAgent();
    for (const end of ends.reverse()) await end();
    await opened.close();
  });
});
