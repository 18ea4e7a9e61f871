/** A host outside the cluster: the subnets that it is given count like those of its own configuration. Impure. */

import { systemClock } from '../../core/clock.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { ProblemReport } from '../../kube/problems.js';
import type { SubnetAsk } from '../../routing/edgeSubnets.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import type { AgentConfig } from '../kubeConfig.js';
import { startSubnetAsker } from './subnetAsker.js';

export interface EdgeHostOptions {
  readonly settings: Kubernetes;
  /** Undefined: objects come from a folder, and nobody can be asked. */
  readonly writer: ApiWriter | undefined;
  readonly name: string;
  readonly report: (problems: ProblemReport) => void;
  /** Told prefix texts whenever they change. */
  readonly granted: (subnets: readonly string[]) => void;
}

/** Asks if this host is outside the cluster and wants a subnet. @returns a function that ends it */
export function askForSubnets({ settings: { role, edge }, writer, ...rest }: EdgeHostOptions): () => void {
  if (role !== 'edge' || edge.ask === undefined) return () => undefined;
  const { ipv4, ipv6 } = edge.ask;
  const ask: SubnetAsk = { ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }) };
  if (writer !== undefined) return startSubnetAsker({ writer, ask, clock: systemClock, ...rest });
  const text = 'gets no subnet: a folder of objects cannot be asked';
  rest.report(new Map([['edge subnet', [{ subject: `edge host ${rest.name}`, text }]]]));
  return () => undefined;
}

export function withSubnets(settings: AgentConfig, granted: readonly string[]): AgentConfig {
  if (granted.length === 0) return settings;
  const { kubernetes } = settings;
  const { edge } = kubernetes;
  return { ...settings, kubernetes: { ...kubernetes, edge: { ...edge, subnets: [...edge.subnets, ...granted] } } };
}
