/** Filters at a link's ingress that send everything to another link (linux/pkt_cls.h, linux/tc_act/tc_mirred.h). */

import { HOST_IS_LITTLE_ENDIAN, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST } from './netlink/numbers.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import type { NetlinkWriter } from './netlink/writer.js';
import { beginTc, TCA_KIND, TCA_OPTIONS, TCMSG } from './tc.js';

const RTM_NEWTFILTER = 44;
const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;

/** Where filters of `ingress` and of `clsact` hang that see what comes in. */
const INGRESS_SIDE = 0xffff_fff2;
/** ETH_P_ALL as tcm_info has it, in network order. */
const ALL_PROTOCOLS = HOST_IS_LITTLE_ENDIAN ? 0x0300 : 0x0003;

/** Number of the one rule within its filter: without it, u32 would add one more each time. */
const NODE = 0x800;

const TCA_ACT_KIND = 1;
const TCA_ACT_OPTIONS = 2;
const TCA_MIRRED_PARMS = 2;
const TC_ACT_STOLEN = 4;
const TCA_EGRESS_REDIR = 1;

/** Classifiers that can match everything; which of them a kernel has is its builder's choice. */
export type Classifier = 'u32' | 'matchall';
const TCA_U32_SEL = 5;
const ACTIONS: Readonly<Record<Classifier, number>> = { u32: 7, matchall: 2 };

export interface IngressFilter {
  readonly ifindex: number;
  /** Lower ones go first. */
  readonly priority: number;
  readonly kind: string;
  /** Index of the link that everything is sent to; undefined: it does something else, or is a mere part of a filter. */
  readonly redirectsTo: number | undefined;
}

/** A request for the filters of one link (EINVAL where it has neither ingress nor clsact). */
export function writeIngressFilterDump(writer: NetlinkWriter, ifindex: number): void {
  beginTc(writer, RTM_GETTFILTER, NLM_F_REQUEST | NLM_F_DUMP, ifindex, 0, INGRESS_SIDE, 0);
  writer.end();
}

/** All that comes in through a link shall leave through another (ENOSPC or EEXIST where a filter of this priority does so). */
export function writeRedirect(
  writer: NetlinkWriter,
  classifier: Classifier,
  ifindex: number,
  priority: number,
  to: number,
): void {
  const flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
  beginTc(writer, RTM_NEWTFILTER, flags, ifindex, NODE, INGRESS_SIDE, infoOf(priority));
  writer.attributeText(TCA_KIND, classifier);
  const options = writer.beginNested(TCA_OPTIONS, true);
  if (classifier === 'u32') writer.attributeOctets(TCA_U32_SEL, matchEverything());
  const actions = writer.beginNested(ACTIONS[classifier], true);
  const first = writer.beginNested(1, true);
  writer.attributeText(TCA_ACT_KIND, 'mirred');
  const mirred = writer.beginNested(TCA_ACT_OPTIONS, true);
  const parameters = new Int32Array([0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, to]);
  writer.attributeOctets(TCA_MIRRED_PARMS, new Uint8Array(parameters.buffer));
  for (const nested of [mirred, first, actions, options]) writer.endNested(nested);
  writer.end();
}

/** Takes out all filters of this priority (ENOENT when there is none). */
export function writeFilterDelete(writer: NetlinkWriter, ifindex: number, priority: number): void {
  beginTc(writer, RTM_DELTFILTER, NLM_F_REQUEST, ifindex, 0, INGRESS_SIDE, infoOf(priority));
  writer.end();
}

function infoOf(priority: number): number {
  return ((priority << 16) | ALL_PROTOCOLS) >>> 0;
}

/** `struct tc_u32_sel` with one key that asks for no bit: final, so that nothing comes after it. */
function matchEverything(): Uint8Array {
  const selector = new Uint8Array(32);
  const [FLAGS, KEYS] = [0, 2];
  selector[FLAGS] = 1;
  selector[KEYS] = 1;
  return selector;
}

/** @returns undefined when the message is no filter or is cut short */
export function decodeIngressFilter(message: MessageCursor): IngressFilter | undefined {
  const { view, start, end } = message;
  if (message.type !== RTM_NEWTFILTER || end - start < TCMSG) return undefined;
  let kind = '';
  let redirectsTo: number | undefined;
  const attributes = new AttributeCursor().over(view, start + TCMSG, end);
  while (attributes.next()) {
    if (attributes.type === TCA_KIND) kind = attributes.text();
    else if (attributes.type === TCA_OPTIONS) redirectsTo = readOptions(view, kind, attributes.start, attributes.end);
  }
  if (attributes.malformed) return undefined;
  const ifindex = view.getInt32(start + 4, HOST_IS_LITTLE_ENDIAN);
  return { ifindex, priority: view.getUint32(start + 16, HOST_IS_LITTLE_ENDIAN) >>> 16, kind, redirectsTo };
}

function readOptions(view: DataView, kind: string, start: number, end: number): number | undefined {
  if (kind !== 'u32' && kind !== 'matchall') return undefined;
  const options = new AttributeCursor().over(view, start, end);
  while (options.next())
    if (options.type === ACTIONS[kind]) {
      const first = new AttributeCursor().over(view, options.start, options.end);
      return first.next() ? readRedirect(view, first.start, first.end) : undefined;
    }
  return undefined;
}

function readRedirect(view: DataView, start: number, end: number): number | undefined {
  let kind = '';
  const action = new AttributeCursor().over(view, start, end);
  while (action.next()) {
    if (action.type === TCA_ACT_KIND) kind = action.text();
    else if (action.type === TCA_ACT_OPTIONS && kind === 'mirred') {
      const mirred = new AttributeCursor().over(view, action.start, action.end);
      while (mirred.next())
        if (mirred.type === TCA_MIRRED_PARMS && mirred.size >= 28) return targetOf(view, mirred.start);
    }
  }
  return undefined;
}

/** Of `struct tc_mirred`: a mere copy (mirror) is no redirection. */
function targetOf(view: DataView, at: number): number | undefined {
  const isRedirect = view.getInt32(at + 20, HOST_IS_LITTLE_ENDIAN) === TCA_EGRESS_REDIR;
  return isRedirect ? view.getUint32(at + 24, HOST_IS_LITTLE_ENDIAN) : undefined;
}
