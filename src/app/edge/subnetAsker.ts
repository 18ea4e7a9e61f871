/** Asks the cluster for a subnet for this host, and tells which one it has. Impure. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import { ApiError } from '../../kube/client/apiConnection.js';
import type { ProblemReport } from '../../kube/problems.js';
import { formatAsk, formatSubnets, type SubnetAsk } from '../../routing/edgeSubnets.js';
import { collectionPath, EDGE_NAMESPACE, recordOf } from './subnetRecord.js';

export interface SubnetAskerOptions {
  readonly writer: ApiWriter;
  /** Name of this host: the ConfigMap's too. */
  readonly name: string;
  readonly ask: SubnetAsk;
  readonly clock: Clock;
  readonly report: (problems: ProblemReport) => void;
  /** Told prefix texts, at first and whenever they change. */
  readonly granted: (subnets: readonly string[]) => void;
}

/** Milliseconds between two looks: while there is nothing, and afterwards. */
const EAGER = 2000;
const CALM = 30_000;
const NOT_FOUND = 404;
const OWNER = 'edge subnet';

/** @returns a function that ends it; the subnet stays ours */
export function startSubnetAsker(options: SubnetAskerOptions): () => void {
  const { clock, report, granted } = options;
  let timer: TimerHandle | undefined;
  let stopped = false;
  let known = '';
  const look = async (): Promise<void> => {
    const { text, hindrance } = await lookUp(options);
    if (stopped) return;
    const waits = text === '' ? `waits for a subnet: no agent of the cluster has given one yet` : undefined;
    const problem = hindrance ?? waits;
    report(new Map([[OWNER, problem === undefined ? [] : [{ subject: `edge host ${options.name}`, text: problem }]]]));
    // A cluster that cannot be asked takes nothing away.
    if (text !== undefined && text !== known) granted((known = text) === '' ? [] : text.split(', '));
    timer = clock.setTimeout(() => void look(), known === '' ? EAGER : CALM);
  };
  void look();
  return () => {
    stopped = true;
    timer?.cancel();
  };
}

interface Found {
  /** Subnets as they stand there; undefined: it is not known. */
  readonly text: string | undefined;
  readonly hindrance?: string;
}

async function lookUp({ writer, name, ask }: SubnetAskerOptions): Promise<Found> {
  const asked = formatAsk(ask);
  const path = `${collectionPath()}/${name}`;
  try {
    const json = await writer.ask('GET', path).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== NOT_FOUND) throw error;
      const metadata = { name, namespace: EDGE_NAMESPACE };
      return writer.ask('POST', collectionPath(), {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata,
        data: { ask: asked },
      });
    });
    const record = recordOf(json);
    if (record !== undefined && formatAsk(record.ask) === asked) return { text: formatSubnets(record.held) };
    // The configuration asks for something else than it did.
    const patch = { data: { ask: asked } };
    await writer.ask('PATCH', path, patch, { contentType: 'application/merge-patch+json' });
    return { text: undefined };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { text: undefined, hindrance: `cannot ask the cluster for a subnet: ${reason}` };
  }
}
