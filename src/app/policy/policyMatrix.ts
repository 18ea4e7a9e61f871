/** `peerage policy matrix`: who reaches whom, on which ports. */

import type { MatrixScope, ReachView } from '../../api/policyView.js';
import { err, ok, type Result } from '../../core/result.js';
import { reachablePorts, type PortRange } from '../../policy/reach.js';
import { verdict } from '../../policy/verdict.js';
import { mergeFamilies } from './mergeFamilies.js';
import { loadOfflineCluster, warningsOf } from './offlineCluster.js';
import type { PolicyCluster } from './policyCluster.js';
import { parsePort, type ProtocolPort } from './portText.js';
import { connectionsBetween, type NamedConnection, type Subject } from './subjects.js';

type PodSubject = Extract<Subject, { kind: 'pod' }>;

export interface MatrixAnswer {
  readonly cells: readonly ReachView[];
  /** What of the manifests could not be used, a line each. */
  readonly warnings: readonly string[];
}

/** Asks a folder of manifests. */
export async function matrixOfManifests(manifests: string, scope: MatrixScope): Promise<Result<MatrixAnswer, string>> {
  const loaded = await loadOfflineCluster(manifests);
  if (!loaded.ok) return loaded;
  const cells = policyMatrix(loaded.value, scope);
  return cells.ok ? ok({ cells: [...cells.value], warnings: warningsOf(loaded.value) }) : cells;
}

/**
 * @returns a cell for every two pods that are not one, for both families together where they agree; made as they are read, for
 *   there may be very many
 */
export function policyMatrix(
  cluster: PolicyCluster,
  { namespace, port }: MatrixScope,
): Result<Iterable<ReachView>, string> {
  const only = port === undefined ? ok(undefined) : parsePort(port);
  if (!only.ok) return only;
  const subjects = [...cluster.world.pods.values()]
    .filter(pod => pod.state !== 'finished')
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((pod): PodSubject => ({ kind: 'pod', pod }));
  if (subjects.length === 0) return err(`there are no pods and no workloads ${cluster.place}`);
  const receivers = subjects.filter(({ pod }) => namespace === undefined || pod.namespace === namespace);
  if (receivers.length === 0) return err(`there are no pods in namespace ${namespace ?? ''}`);
  return ok(cellsOf(cluster, subjects, receivers, only.value));
}

function* cellsOf(
  cluster: PolicyCluster,
  senders: readonly PodSubject[],
  receivers: readonly PodSubject[],
  port: ProtocolPort | undefined,
): Iterable<ReachView> {
  for (const from of senders)
    for (const to of receivers) if (from.pod !== to.pod) yield* cellsBetween(cluster, from, to, port);
}

/** Pods without a family in common have no cell. */
function cellsBetween(
  cluster: PolicyCluster,
  from: Subject,
  to: Subject,
  port: ProtocolPort | undefined,
): readonly ReachView[] {
  const made = connectionsBetween(cluster, from, to, port?.protocol ?? 'TCP', port?.port ?? 1);
  if (!made.ok) return [];
  return mergeFamilies(
    made.value.map(connection => {
      const { fromText, toText, family } = connection;
      const families = family === undefined ? [] : [family];
      return { from: fromText, to: toText, families, ports: openPorts(cluster, connection, port) };
    }),
  );
}

function openPorts({ world }: PolicyCluster, connection: NamedConnection, port: ProtocolPort | undefined): string {
  if (port !== undefined) return verdict(world, connection).allowed ? 'open' : 'none';
  const ranges = reachablePorts(world, connection.from, connection.to);
  if (ranges.length === 0) return 'none';
  if (ranges.length === 3 && ranges.every(({ first, last }) => first === 1 && last === 65535)) return 'all';
  return ranges.map(rangeText).join(' ');
}

function rangeText({ protocol, first, last }: PortRange): string {
  const ports = first === 1 && last === 65535 ? 'all' : first === last ? String(first) : `${first}-${last}`;
  return `${ports}/${protocol.toLowerCase()}`;
}
