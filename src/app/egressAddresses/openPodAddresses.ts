/** Pods' own addresses and those they carry outside, on this machine: anti-spoofing and egress addresses. Impure. */

import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { Subject, type Observable } from 'rxjs';
import { systemClock } from '../../core/clock.js';
import { parsePrefix, type IpPrefix } from '../../core/ip.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { ProblemReport } from '../../kube/problems.js';
import { openRouteChannel } from '../../kernel/netlink/channel.js';
import { openNft } from '../../kernel/nft.js';
import { kernelSwitches } from '../../kernel/sysctl.js';
import type { AntiSpoofOptions } from '../antiSpoof/antiSpoof.js';
import { openAntiSpoof } from '../antiSpoof/openAntiSpoof.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';
import { askHolder, HOLDER_PATH, type HolderAnswer } from './askHolder.js';
import { createEgressAddresses } from './egressAddresses.js';
import { machineAnswers } from './machineAnswers.js';
import { watchHolders, type HolderWatch } from './watchHolders.js';
import { createEgressStage, type EgressAddressOptions, type EgressUpdate } from './egressStage.js';

export interface PodAddressDeps {
  readonly settings: Kubernetes;
  readonly nodeName: string;
  /** Undefined: objects come from a folder, and nothing can be written. */
  readonly writer: ApiWriter | undefined;
  /** RTPROT_* of our routes and rules. */
  readonly protocol: number;
  readonly logger: Logger;
  readonly report: (problems: ProblemReport) => void;
  readonly registry: Registry;
}

export interface PodAddresses {
  readonly sinks: {
    antiSpoofOptions(options: AntiSpoofOptions): void;
    /** Left out where nobody can have egress addresses. */
    egressAddresses?(update: EgressUpdate): void;
  };
  /** Whether this node has to let go of egress addresses that it believes to be its own. */
  readonly cutOff: Observable<boolean>;
  /** What others that may hold addresses ask this node, by path of the server of health. */
  readonly answers: Readonly<Record<string, () => HolderAnswer>>;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

/** Whether anybody can have egress addresses; a host outside the cluster has no pods. */
export function hasEgressAddresses({ egressAddresses, role }: Kubernetes): boolean {
  return egressAddresses.ranges.length > 0 && role === 'node';
}

export function egressAddressOptions(kubernetes: Kubernetes): EgressAddressOptions {
  const { egressAddresses, services, egress } = kubernetes;
  return {
    ranges: hasEgressAddresses(kubernetes) ? egressAddresses.ranges.map(prefixOf) : [],
    inside: [...services.clusterIpRanges, ...egress.exclude].map(prefixOf),
  };
}

/** The schema has looked at every text with the same parser. */
function prefixOf(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** Works in the network namespace of the calling thread. @throws SyscallError when the kernel cannot be spoken to */
export function openPodAddresses(deps: PodAddressDeps): PodAddresses {
  const { settings, protocol, logger, report, registry } = deps;
  const antiSpoof = openAntiSpoof({ logger, report, registry });
  const channel = openRouteChannel();
  const addresses = createEgressAddresses({
    channel,
    nft: openNft(),
    switches: kernelSwitches,
    clock: systemClock,
    logger,
    protocol,
    report,
  });
  const isOn = hasEgressAddresses(settings);
  const cutOff = new Subject<boolean>();
  const watch = isOn ? holderWatch(deps, isShut => cutOff.next(isShut)) : undefined;
  // What a former life left goes, and then there is nothing to look after.
  const forgotten = isOn ? Promise.resolve() : forget(addresses);
  return {
    sinks: {
      antiSpoofOptions: options => antiSpoof.configure(options),
      ...(isOn
        ? {
            egressAddresses: update => {
              addresses.update(update);
              watch?.update(update);
            },
          }
        : {}),
    },
    cutOff,
    answers: watch === undefined ? {} : { [HOLDER_PATH]: () => ({ isCutOff: watch.isDeaf }) },
    stop: async () => {
      await watch?.stop();
      await antiSpoof.stop();
      await forgotten;
      await addresses.stop();
      channel.close();
    },
  };
}

/** Where the agents and their Leases live. */
const DEFAULT_NAMESPACE = 'kube-system';

/** Undefined: nobody can be told of nodes that are gone. */
function holderWatch(
  { writer, nodeName, settings, logger, report }: PodAddressDeps,
  shut: (isShut: boolean) => void,
): HolderWatch | undefined {
  if (writer === undefined) return undefined;
  return watchHolders({
    writer,
    nodeName,
    namespace: process.env['POD_NAMESPACE'] ?? DEFAULT_NAMESPACE,
    clock: systemClock,
    logger,
    report,
    answers: machineAnswers,
    ask: addresses => askHolder(addresses, settings.health.port),
    shut,
  });
}

async function forget(addresses: ReturnType<typeof createEgressAddresses>): Promise<void> {
  const nothing = createEgressStage('')({ kind: 'options', options: { ranges: [], inside: [] } });
  addresses.update({ ...nothing, isComplete: true });
  await addresses.idle();
  await addresses.stop();
}
