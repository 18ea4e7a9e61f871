/** Tables of who reaches whom, as packets say it: asked cell by cell, and compared with what is expected. */

import type { Cluster, ClusterPod } from './cluster.js';
import type { DeniedCells } from './cyclonus.js';
import type { Answer, Host, Probe, Prober } from './packets/prober.js';
import type { PodRig } from './podRig.js';

const FAMILY_NAMES = ['IPv4', 'IPv6'];

export function hostsOf(rig: PodRig, pods: readonly ClusterPod[]): readonly Host[] {
  return pods.map(({ namespace, name, ips }) => {
    const space = rig.pods.get(`${namespace}/${name}`);
    if (space === undefined) throw new Error(`the rig has no pod ${namespace}/${name}`);
    return { name: `${namespace}/${name}`, namespace: space, ips };
  });
}

/** Every pod to every port of every other, by both families. */
export function cellsOf({ pods }: Cluster): readonly Probe[] {
  return pods.flatMap(from =>
    pods
      .filter(to => to !== from)
      .flatMap(to =>
        to.ips.flatMap((_, address) =>
          to.ports.map(({ protocol, port }) => ({ from: nameOf(from), to: nameOf(to), address, protocol, port })),
        ),
      ),
  );
}

export function textOf(cell: Probe): string {
  return `${keyOf(cell)} (${FAMILY_NAMES[cell.address]})`;
}

const keyOf = ({ from, to, protocol, port }: Probe): string => `${from} ${to} ${protocol} ${port}`;
const nameOf = ({ namespace, name }: ClusterPod): string => `${namespace}/${name}`;

/** Milliseconds without any answer, after which the rest is silent; what should have answered is asked again with more. */
const PATIENCE = [120, 1000, 5000, 30_000];

/**
 * Asks every cell, and again those that should have answered and did not.
 * @param denied by family @returns what is otherwise than expected
 */
export async function differences(
  prober: Prober,
  cluster: Cluster,
  denied: readonly DeniedCells[],
): Promise<readonly string[]> {
  const expected = denied.map(cells => new Set(cells));
  const found: string[] = [];
  let left = cellsOf(cluster);
  for (const patience of PATIENCE) {
    const answers = await prober.ask(left, patience);
    const isDenied = (cell: Probe): boolean => expected[cell.address]?.has(keyOf(cell)) === true;
    const wrong = left
      .map((cell, i): readonly [Probe, Answer] => [cell, answers[i] ?? ''])
      .filter(([cell, answer]) => answer !== (isDenied(cell) ? 'silence' : 'open'));
    const [silent, loud] = [
      wrong.filter(([, answer]) => answer === 'silence'),
      wrong.filter(([, answer]) => answer !== 'silence'),
    ];
    found.push(
      ...loud.map(([cell, answer]) => `${textOf(cell)}: ${answer}, not ${isDenied(cell) ? 'denied' : 'allowed'}`),
    );
    left = silent.map(([cell]) => cell);
    if (left.length === 0) return found;
  }
  return [...found, ...left.map(cell => `${textOf(cell)}: silence, not allowed`)];
}
