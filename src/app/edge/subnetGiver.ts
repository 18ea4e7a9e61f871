/** Gives subnets to hosts outside the cluster that ask for them, as long as it is on this agent to do so. Impure. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import type { IpPrefix } from '../../core/ip.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import { ApiError } from '../../kube/client/apiConnection.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';
import { allocateSubnets, formatSubnets } from '../../routing/edgeSubnets.js';
import { collectionPath, EDGE_NAMESPACE, recordsOf, type SubnetRecord } from './subnetRecord.js';

export interface SubnetGiverOptions {
  readonly writer: ApiWriter;
  readonly ranges: readonly IpPrefix[];
  readonly mayAct: () => boolean;
  readonly clock: Clock;
  readonly report: (problems: ProblemReport) => void;
  readonly given: (host: string, subnets: string) => void;
}

/** Milliseconds between two looks at what hosts ask. They are few, and in no hurry. */
const LOOK = 5000;
const CONFLICT = 409;
const OWNER = 'edge subnets';

/** @returns a function that ends it */
export function startSubnetGiver(options: SubnetGiverOptions): () => void {
  let timer: TimerHandle | undefined;
  let stopped = false;
  const look = async (): Promise<void> => {
    const problems = await give(options);
    if (stopped) return;
    options.report(new Map([[OWNER, problems]]));
    timer = options.clock.setTimeout(() => void look(), LOOK);
  };
  void look();
  return () => {
    stopped = true;
    timer?.cancel();
    options.report(new Map([[OWNER, []]]));
  };
}

/** @returns what hinders it */
async function give({ writer, ranges, mayAct, given }: SubnetGiverOptions): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  try {
    const records = recordsOf(await writer.ask('GET', collectionPath()));
    const grants = allocateSubnets(records, ranges);
    for (const record of records) {
      const { subnets, complaints } = grants.get(record.name) ?? { subnets: [], complaints: [] };
      problems.push(...complaints.map(text => ({ subject: `edge host ${record.name}`, text })));
      const text = formatSubnets(subnets);
      if (text === record.text || !mayAct()) continue;
      await write(writer, record, text);
      given(record.name, text);
    }
  } catch (error) {
    const { status, message } = error instanceof ApiError ? error : { status: undefined, message: String(error) };
    // Somebody changed it in between: the next look will tell.
    if (status !== CONFLICT)
      problems.push({ subject: `namespace ${EDGE_NAMESPACE}`, text: `subnets cannot be given out: ${message}` });
  }
  return problems;
}

async function write(writer: ApiWriter, { name, version }: SubnetRecord, subnets: string): Promise<void> {
  const patch = { metadata: { resourceVersion: version }, data: { subnets } };
  await writer.ask('PATCH', `${collectionPath()}/${name}`, patch, { contentType: 'application/merge-patch+json' });
}
