/** Cuts tracked flows that are not allowed any more, and lets those go on that are again: a bit of their marks. Impure: netlink. */

import { listFlows, markFlows, type FlowEnds, type TrackedFlow } from './conntrackFlows.js';
import type { NetlinkChannel } from './netlink/channel.js';

/** undefined: nothing is said of the flow, and it stays as it is. */
export type FlowJudge = (flow: TrackedFlow) => 'cut' | 'keep' | undefined;

export interface FlowCutting {
  /** Which bit of the marks says that a flow is cut, 0 to 31; nobody else may use it. */
  readonly bit: number;
  /** Only flows that have one of these ends are looked at. */
  readonly ends: FlowEnds;
  readonly judge: FlowJudge;
}

export interface CutFlows {
  /** How many flows were judged. */
  readonly judged: number;
  /** How many were cut that were not, and the other way round. */
  readonly cut: number;
  readonly released: number;
  /** Flows that are cut now, those from before included. */
  readonly stillCut: readonly TrackedFlow[];
}

/**
 * Lists flows of a family, judges them and marks those whose mark is not as judged.
 * @param channel of NETLINK_NETFILTER
 * @returns what was done; rejects with NetlinkError or Error when the kernel refuses
 */
export async function cutFlows(
  channel: NetlinkChannel,
  family: 4 | 6,
  { bit, ends, judge }: FlowCutting,
): Promise<CutFlows> {
  // By tuple and zone, which name it: a dump may show a flow twice.
  const cut = new Map<string, TrackedFlow>();
  const released = new Map<string, TrackedFlow>();
  const stillCut = new Map<string, TrackedFlow>();
  let judged = 0;
  await listFlows(channel, family, ends, flow => {
    const fate = judge(flow);
    if (fate === undefined) return;
    judged += 1;
    const name = `${flow.zone} ${flow.tuple}`;
    const isCut = ((flow.mark >>> bit) & 1) === 1;
    if (fate === 'cut') stillCut.set(name, flow);
    if (fate === 'cut' && !isCut) cut.set(name, flow);
    else if (fate === 'keep' && isCut) released.set(name, flow);
  });
  return {
    judged,
    cut: await markFlows(channel, family, [...cut.values()], bit, true),
    released: await markFlows(channel, family, [...released.values()], bit, false),
    stillCut: [...stillCut.values()],
  };
}
