/**
 * Random histories of a cluster on two nodes, with policies, egress rules and tenants, transactions that fail, agents that
 * begin anew and others who meddle: while a node is behind, nothing passes that no state since allowed; and then its tables are
 * those of a fresh start, and packets agree with the second reading of the specification, cell by cell. PEERAGE_POLICY_SEED
 * and PEERAGE_POLICY_HISTORIES choose others.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { waitFor } from '../../lab/topology/commands.js';
import { makeNamespace, type Namespace } from '../../test/kernel/namespace.js';
import { tableListing } from '../../test/kernel/nftListing.js';
import {
  changed,
  NODES,
  NOTHING,
  randomHistories,
  SLOTS,
  type Drift,
  type HistoryWorld,
  type NodeName,
  type Step,
} from './histories.js';
import { openHistoryNode, type HistoryNode } from './historyNode.js';
import {
  CELLS,
  deniedCells,
  isOpen,
  objectsOf,
  OUTSIDE,
  PLACES,
  verdictsOf,
  type CellVerdict,
} from './historyOracle.js';
import { differences, hostsOf, textOf } from './kernelTable.js';
import { openProber, type Prober } from './packets/prober.js';
import { openPodRig, type PodRig } from './podRig.js';
import { PORT_NUMBERS } from './randomClusters.js';

const SEED = Number(process.env['PEERAGE_POLICY_SEED'] ?? 1);
const HISTORIES = Number(process.env['PEERAGE_POLICY_HISTORIES'] ?? 2);
const STEPS = 5;
const TABLES = ['peerage-policy', 'peerage-tenants'];
/** Milliseconds: of silence that is believed while a node is behind; for a node to be itself again; for all. */
const [MOMENT, PATIENCE, LIMIT] = [120, 120_000, 3_600_000];

const places = [...SLOTS, OUTSIDE].map(({ name, node, ips }) => ({ namespace: 'slot', name, node, ips }));
let rig: PodRig;
let prober: Prober;
let fresh: Namespace;
let nodes: Readonly<Record<NodeName, HistoryNode>>;

beforeAll(() => {
  rig = openPodRig('pgph', places);
  prober = openProber(hostsOf(rig, PLACES.pods), PORT_NUMBERS);
  fresh = makeNamespace('pgph-fresh');
  nodes = { n1: openHistoryNode('n1', space('n1')), n2: openHistoryNode('n2', space('n2')) };
});
afterAll(async () => {
  prober.close();
  await Promise.all(Object.values(nodes).map(node => node.stop()));
  fresh.remove();
  rig.close();
});

const space = (name: NodeName): Namespace => rig.nodes.get(name)!;

test.each(randomHistories(SEED, HISTORIES, STEPS).map((history, i) => [i, history] as const))(
  `history %i of seed ${SEED}`,
  async (_i, { first, steps }) => {
    let world = first.reduce(changed, NOTHING);
    for (const node of Object.values(nodes)) node.tell(objectsOf(world));
    await expectWorld(world);
    for (const step of steps) world = await take(world, step);
    const told = NODES.flatMap(name => nodes[name].events);
    expect(told.filter(({ kind }) => kind === 'adopted')).not.toEqual([]);
  },
  LIMIT,
);

async function take(before: HistoryWorld, { batches, trouble }: Step): Promise<HistoryWorld> {
  const since = [verdictsOf(before)];
  if (trouble.kind === 'faults') nodes[trouble.node].suffer(trouble.faults);
  if (trouble.kind === 'drift') meddle(space(trouble.node), trouble.what);
  let world = before;
  for (const batch of batches) {
    world = batch.reduce(changed, world);
    since.push(verdictsOf(world));
    for (const node of Object.values(nodes)) node.tell(objectsOf(world));
  }
  if (trouble.kind === 'restart') await nodes[trouble.node].restart();
  if (trouble.kind === 'faults') await expectClosed(since);
  await expectWorld(world);
  return world;
}

/** While a node is behind: it may say what it said, or what it shall say, in each direction, and nothing else. */
async function expectClosed(since: readonly (readonly CellVerdict[])[]): Promise<void> {
  await Promise.all(Object.values(nodes).map(node => node.idle()));
  const closed = CELLS.filter((_, i) => {
    const said = (part: keyof CellVerdict): boolean => since.some(verdicts => verdicts[i]![part]);
    return !isOpen({ egress: said('egress'), ingress: said('ingress'), tenants: said('tenants') });
  });
  const answers = await prober.ask(closed, MOMENT);
  expect(closed.filter((_, i) => answers[i] !== 'silence').map(textOf)).toEqual([]);
}

async function expectWorld(world: HistoryWorld): Promise<void> {
  for (const name of NODES) {
    const expected = await freshListing(name, world);
    await waitFor(`${name} is as if it had just begun`, PATIENCE, () => {
      expect(tableListing(space(name), TABLES)).toEqual(expected);
      return nodes[name].isSettled || undefined;
    });
  }
  expect(await differences(prober, PLACES, deniedCells(verdictsOf(world)))).toEqual([]);
}

async function freshListing(name: NodeName, world: HistoryWorld): Promise<readonly string[]> {
  const both = TABLES.flatMap(table => ['ip', 'ip6'].map(family => `${family} ${table}`));
  nft(fresh, both.map(table => `add table ${table}; delete table ${table}`).join('; '));
  const node = openHistoryNode(name, fresh);
  node.tell(objectsOf(world));
  await node.idle();
  await node.stop();
  return tableListing(fresh, TABLES);
}

function meddle(node: Namespace, what: Drift): void {
  for (const family of ['ip', 'ip6']) {
    const table = `${family} peerage-policy`;
    if (what === 'table') nft(node, `delete table ${table}`);
    else if (what === 'pods') nft(node, `flush map ${table} pods`);
    else if (what === 'hook') nft(node, `flush chain ${table} receiving`);
    else nft(node, `flush table ${table}`);
  }
}

function nft({ name }: Namespace, input: string): void {
  execFileSync('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { input: input.replaceAll('; ', '\n') });
}
