/**
 * `make bench-policy`: network policies of a large cluster on one node, from objects to the kernel's acknowledgement, and what
 * its rules cost packets. Impure.
 */

import { execFileSync } from 'node:child_process';
import { Command } from 'commander';
import { PLAIN_SETTINGS } from '../../interop/policy/settings.js';
import { inNamespace } from '../../lab/topology/inNamespace.js';
import { keepHeapsSmall } from '../../src/app/heapGrowth.js';
import { goBeforeHelpers } from '../../src/app/mainThread.js';
import type { ObjectBatch } from '../../src/kube/objectBatch.js';
import { openNftablesFirewall } from '../../src/policy/nftables/nftablesFirewall.js';
import type { FirewallEvent, PolicyFirewall } from '../../src/policy/policyFirewall.js';
import { createPolicyModel, type PolicyModel } from '../../src/policy/policyModel.js';
import { percentile, print, seconds } from '../proxy/lines.js';
import { positive } from '../run/options.js';
import { addedPod, alikeLocal, anyNode, deletedPod, laterFront, NODE, podAddress, wholeCluster } from './cluster.js';
import { buildWay, type Way } from './packets.js';

interface Options {
  readonly policies: number;
  readonly pods: number;
  readonly local: number;
  readonly changes: number;
  readonly rounds: number;
}

const { changes, rounds, ...size } = new Command('bench-policy')
  .description('network policies (nftables): cold start, one change, restart, packets')
  .option('--policies <N>', 'policies of the cluster', positive, 10_000)
  .option('--pods <N>', 'pods of the cluster', positive, 50_000)
  .option('--local <N>', 'pods of the node', positive, 110)
  .option('--changes <N>', 'pods added one after the other', positive, 500)
  .option('--rounds <N>', 'of packets, each way in each', positive, 40)
  .parse()
  .opts<Options>();

// As the agent does: garbage is collected sooner, and takes a larger part of the slowest changes.
keepHeapsSmall();
goBeforeHelpers();

/** Packets of one block. */
const [STEADY, NEW] = [20_000, 640];
/** Of this run: two may go on at once. */
const PREFIX = `pgbp${process.pid}`;
const NODES = { bare: `${PREFIX}b`, conntrack: `${PREFIX}c`, policies: `${PREFIX}p` } as const;
type Variant = keyof typeof NODES;
const VARIANTS: readonly Variant[] = ['bare', 'conntrack', 'policies'];

/** A firewall with its model, in the namespace of the node with policies. */
class Subject {
  transactions = 0;
  private complaint: FirewallEvent | undefined;
  private readonly model: PolicyModel = createPolicyModel(NODE);
  private readonly firewall: PolicyFirewall;

  constructor() {
    this.firewall = inNamespace(NODES.policies, () => openNftablesFirewall(event => this.take(event)));
    this.firewall.configure(PLAIN_SETTINGS);
  }

  /** From objects to the kernel's acknowledgement. */
  async apply(batch: ObjectBatch): Promise<void> {
    this.firewall.apply(this.model.apply(batch));
    this.firewall.begin();
    await this.firewall.idle();
    if (!this.firewall.isSettled) throw new Error(`not settled: ${JSON.stringify(this.complaint)}`);
  }

  get policies(): number {
    return this.model.policies.size;
  }

  stop(): Promise<void> {
    return this.firewall.stop();
  }

  private take(event: FirewallEvent): void {
    if (event.kind === 'committed') this.transactions += 1;
    else if (event.kind === 'failed' || event.kind === 'error') this.complaint = event;
  }
}

async function benchKernel(): Promise<Subject> {
  const objects = wholeCluster(size);
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const subject = new Subject();
  print('cold start, from objects to the kernel, s', await seconds(() => subject.apply(objects)));
  print('policies that govern pods of the node', subject.policies);
  const numbers = (of: (i: number) => number): readonly number[] => Array.from({ length: changes }, (_, i) => of(i));
  const later = (turn: number): readonly number[] => numbers(i => laterFront(turn * changes + i, size.pods));
  const anywhere = [0, 1, 2, 3].flatMap(later);
  const here = anywhere.filter(index => anyNode(index) === NODE).length;
  const times = await added(subject, anywhere, anyNode);
  print(`pods added anywhere, ${here} of ${times.length} here, ms: p50, p99`, spread(times));
  const alike = await replaced(
    subject,
    numbers(i => alikeLocal(i, size)),
  );
  print('pods added here whose policies are there already, ms: p50, p99', spread(alike.added));
  const fresh = await replaced(subject, later(4));
  print('pods added here, most with policies of their own, ms: p50, p99', spread(fresh.added));
  print('the same pods deleted, ms: p50, p99', spread(fresh.deleted));
  const grown = await added(subject, later(5), () => NODE);
  print(`the same, none deleted: the node grows to ${size.local + changes} pods, ms: p50, p99`, spread(grown));
  print('resident memory for it, MB, besides the objects', (process.memoryUsage().rss - before) / 1e6);
  return subject;
}

/** Each of them changes something in the kernel. @returns milliseconds to the acknowledgement */
async function added(
  subject: Subject,
  indices: readonly number[],
  nodeOf: (index: number) => string,
): Promise<readonly number[]> {
  const times: number[] = [];
  for (const index of indices) times.push(await written(subject, addedPod(index, nodeOf(index))));
  return times;
}

interface Replaced {
  readonly added: readonly number[];
  readonly deleted: readonly number[];
}

/** Pods of this node, each deleted before the next one comes, so that it has no more pods than it is said to have. */
async function replaced(subject: Subject, indices: readonly number[]): Promise<Replaced> {
  const [came, gone]: [number[], number[]] = [[], []];
  for (const index of indices) {
    came.push(await written(subject, addedPod(index, NODE)));
    gone.push(await written(subject, deletedPod(index, NODE)));
  }
  return { added: came, deleted: gone };
}

/** @returns milliseconds @throws Error when the kernel's table is what it was */
async function written(subject: Subject, batch: ObjectBatch): Promise<number> {
  const before = subject.transactions;
  const taken = await seconds(() => subject.apply(batch));
  if (subject.transactions === before) throw new Error(`${[...batch.changes.keys()].join()} changed nothing`);
  return 1000 * taken;
}

function spread(times: readonly number[]): string {
  return [0.5, 0.99].map(share => percentile(times, share).toFixed(2)).join(', ');
}

async function benchRestart(former: Subject): Promise<void> {
  await former.stop();
  const objects = wholeCluster(size);
  const next = new Subject();
  print('restart, s', await seconds(() => next.apply(objects)));
  await next.stop();
}

/** Blocks of the three ways take turns, so that what else the machine does hits all of them. */
function benchPackets(ways: Readonly<Record<Variant, Way>>): void {
  const times = { established: table(), first: table() };
  for (const variant of VARIANTS) ways[variant].established(STEADY);
  for (let round = 0; round < rounds; round++)
    for (const variant of VARIANTS) {
      times.established[variant].push(ways[variant].established(STEADY));
      times.first[variant].push(ways[variant].first(NEW));
    }
  for (const variant of VARIANTS) {
    const { sent } = ways[variant];
    const arrived = ways[variant].arrived();
    if (arrived < 0.99 * sent) throw new Error(`${NAMES[variant]}: of ${sent} packets, only ${arrived} arrived`);
  }
  // Of a machine that does other things too, the quick blocks say what the way itself takes.
  const quick = (of: 'established' | 'first', variant: Variant): number => percentile(times[of][variant], 0.1);
  for (const variant of VARIANTS) {
    print(`${NAMES[variant]}: packets a second of established flows`, Math.round(1e9 / quick('established', variant)));
    print(`${NAMES[variant]}: first packet of a flow, µs`, quick('first', variant) / 1000);
  }
  const share = (base: Variant): number => (quick('established', base) / quick('established', 'policies')) * 100;
  print('packets a second through policies, % of those with connection tracking', share('conntrack'));
  print('the same, % of those without any rule', share('bare'));
  const more = quick('first', 'policies') - quick('first', 'bare');
  print('the first packet of a flow takes longer than without any rule by, µs', more / 1000);
}

const NAMES: Readonly<Record<Variant, string>> = {
  bare: 'no rules',
  conntrack: 'connection tracking alone',
  policies: 'policies',
};

function table(): Record<Variant, number[]> {
  return { bare: [], conntrack: [], policies: [] };
}

function removeAll(): void {
  for (const name of Object.values(NODES)) {
    for (const full of [name, `${name}-p`, `${name}-w`])
      try {
        execFileSync('ip', ['netns', 'del', full], { stdio: 'ignore' });
      } catch {
        // It was not there.
      }
  }
}

try {
  for (const name of Object.values(NODES)) execFileSync('ip', ['netns', 'add', name]);
  console.log(`network policies: ${size.policies} policies, ${size.pods} pods, ${size.local} of them on this node`);
  const subject = await benchKernel();
  const rules =
    'add table ip t\nadd chain ip t c { type filter hook forward priority 0 ; }\nadd rule ip t c ct state established,related accept\n';
  execFileSync('ip', ['netns', 'exec', NODES.conntrack, 'nft', '-f', '-'], { input: rules });
  const pod = podAddress(0);
  const ways = {
    bare: buildWay(NODES.bare, NODES.bare, pod),
    conntrack: buildWay(NODES.conntrack, NODES.conntrack, pod),
    policies: buildWay(NODES.policies, NODES.policies, pod),
  };
  benchPackets(ways);
  for (const way of Object.values(ways)) way.close();
  await benchRestart(subject);
} finally {
  removeAll();
}
