/** `peerage policy matrix`: who reaches whom, on which ports. Impure. */

import type { ReachView } from '../../api/policyView.js';
import { err, ok, type Result } from '../../core/result.js';
import { reachablePorts, type PortRange } from '../../policy/reach.js';
import { verdict } from '../../policy/verdict.js';
import { mergeFamilies } from './mergeFamilies.js';
import { loadOfflineCluster, warningsOf, type OfflineCluster } from './offlineCluster.js';
import { parsePort, type ProtocolPort } from './portText.js';
import { connectionsBetween, type NamedConnection, type Subject } from './subjects.js';

export interface MatrixQuestion {
  readonly manifests: string;
  /** Only pods of this namespace receive; undefined: all. */
  readonly namespace?: string;
  /** `80/tcp`: only whether this one is open. */
  readonly port?: string;
}

export interface MatrixAnswer {
  readonly cells: readonly ReachView[];
  readonly warnings: readonly string[];
}

/** @returns a cell for every two pods that are not one, for both families together where they agree */
export async function policyMatrix({
  manifests,
  namespace,
  port,
}: MatrixQuestion): Promise<Result<MatrixAnswer, string>> {
  const only = port === undefined ? ok(undefined) : parsePort(port);
  if (!only.ok) return only;
  const loaded = await loadOfflineCluster(manifests);
  if (!loaded.ok) return loaded;
  const cluster = loaded.value;
  const subjects = [...cluster.world.pods.values()]
    .filter(pod => pod.state !== 'finished')
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((pod): Extract<Subject, { kind: 'pod' }> => ({ kind: 'pod', pod }));
  if (subjects.length === 0) return err('there are no pods and no workloads in the manifests');
  const receivers = subjects.filter(({ pod }) => namespace === undefined || pod.namespace === namespace);
  if (receivers.length === 0) return err(`there are no pods in namespace ${namespace ?? ''}`);
  const cells = subjects.flatMap(from =>
    receivers.flatMap(to => (from.pod === to.pod ? [] : cellsBetween(cluster, from, to, only.value))),
  );
  return ok({ cells, warnings: warningsOf(cluster) });
}

/** Pods without a family in common have no cell. */
function cellsBetween(
  cluster: OfflineCluster,
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

function openPorts({ world }: OfflineCluster, connection: NamedConnection, port: ProtocolPort | undefined): string {
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
