/** Direct server return in the agent: the container runtime, nft(8) and kernel switches that it needs. Impure. */

import type { Logger } from 'pino';
import { systemClock } from '../../core/clock.js';
import type { ProblemReport } from '../../kube/problems.js';
import { openNft } from '../../kernel/nft.js';
import { sysctlName, type Switches } from '../../kernel/sysctl.js';
import { runtimeAt } from '../../proxy/dsr/lazyRuntime.js';
import { withDsr } from '../../proxy/dsr/withDsr.js';
import type { OpenProxyBackend } from '../../proxy/proxyBackend.js';
import { setSwitches } from '../plumbing/switchMemory.js';
import type { WantedSwitch } from '../plumbing/switchPlan.js';

export interface AgentDsrOptions {
  /** Socket of the container runtime; undefined: one of the usual places. */
  readonly runtimeEndpoint: string | undefined;
  readonly switches: Switches;
  /** Where it is remembered what switches said before. */
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly report: (found: ProblemReport) => void;
}

export function withAgentDsr(open: OpenProxyBackend, options: AgentDsrOptions): OpenProxyBackend {
  const { runtimeEndpoint, report } = options;
  return withDsr(open, {
    clock: systemClock,
    nft: openNft(),
    openRuntime: runtimeAt(runtimeEndpoint),
    loosen: links => loosen(links, options),
    onProblems: problems => {
      const lines = [...problems].map(([what, text]) => ({ subject: `direct server return, ${what}`, text }));
      report(new Map([['direct server return', lines]]));
    },
  });
}

/** What holds is the larger of the link's value and that of all links: 2, loose, on the link is enough. Off stays off. */
function loosen(links: readonly string[], { switches, stateDirectory, logger }: AgentDsrOptions): void {
  const value = (link: string): number => Number(switches.read(`ipv4/conf/${link}/rp_filter`) ?? 0);
  const wanted = links
    .filter(link => Math.max(value('all'), value(link)) === 1)
    .map((link): WantedSwitch => [`ipv4/conf/${link}/rp_filter`, '2']);
  const { set, failures } = setSwitches(switches, wanted, stateDirectory);
  if (set.length > 0)
    logger.info({ sysctl: set.map(([name, text]) => `${sysctlName(name)}=${text}`) }, 'kernel switches set');
  const [refused] = failures;
  if (refused !== undefined) throw new Error(`${sysctlName(refused[0])} cannot be set: ${refused[1]}`);
}
