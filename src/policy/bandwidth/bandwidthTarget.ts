/** Buckets on the links of pods: reads what is ours, writes differences. Impure. */

import type { Delta } from '../../core/deltaTable.js';
import type { Target } from '../../core/reconciler.js';
import { writeIfbUp, writeNewIfb } from '../../kernel/ifb.js';
import { dumpAll, NetlinkError, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { newKeyedBatch, type KeyedBatch } from '../../kernel/netlink/keyedBatch.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { readHostLinks } from '../../kernel/podLinkReading.js';
import {
  decodeQdisc,
  TC_H_INGRESS,
  writeIngressDelete,
  writeNewIngress,
  writeQdiscDump,
  writeRootDelete,
  writeTokenBucket,
  type TokenBucket,
} from '../../kernel/tc.js';
import {
  decodeIngressFilter,
  writeFilterDelete,
  writeIngressFilterDump,
  writeRedirect,
  type Classifier,
  type IngressFilter,
} from '../../kernel/tcFilter.js';
import { writeLinkDelete, writeNoAutomaticAddresses } from '../../kernel/tunnels.js';
import type { Shape, ShapeKey } from './linkPlan.js';
import {
  ifbName,
  ingressKind,
  isOurBucket,
  isOurFilter,
  obstacle,
  OUR_HANDLE,
  OUR_PRIORITY,
  shapesOf,
  type LinkState,
} from './linkState.js';

/** What somebody who removes finds gone already: ENOENT, ENODEV, EINVAL (no qdisc to hang on). */
const GONE: ReadonlySet<number> = new Set([2, 19, 22]);
const ENOENT = 2;
/** Of devices, for whoever looks at a list of links. */
const ALIAS = 'peerage bandwidth';

/** Links and what queues on them. @returns rejects when the kernel cannot be asked */
export async function readBuckets(channel: NetlinkChannel): Promise<Pick<LinkState, 'links' | 'qdiscs'>> {
  const links = await readHostLinks(channel);
  return { links, qdiscs: await dumpAll(channel, request(writeQdiscDump), decodeQdisc) };
}

async function readLinkState(channel: NetlinkChannel): Promise<LinkState> {
  const { links, qdiscs } = await readBuckets(channel);
  const filters: IngressFilter[] = [];
  for (const { ifindex, parent } of qdiscs)
    if (parent === TC_H_INGRESS) filters.push(...(await readFilters(channel, ifindex)));
  return { links, qdiscs, filters };
}

async function readFilters(channel: NetlinkChannel, ifindex: number): Promise<readonly IngressFilter[]> {
  try {
    return await dumpAll(
      channel,
      request(writer => writeIngressFilterDump(writer, ifindex)),
      decodeIngressFilter,
    );
  } catch (error) {
    // The link may have gone since.
    if (error instanceof NetlinkError) return [];
    throw error;
  }
}

function request(write: (writer: NetlinkWriter) => void): NetlinkWriter {
  const writer = new NetlinkWriter(256);
  write(writer);
  return writer;
}

export function createBandwidthTarget(channel: NetlinkChannel): Target<ShapeKey, Shape> {
  return new LinkTarget(channel);
}

type Failures = Map<ShapeKey, string>;

class LinkTarget implements Target<ShapeKey, Shape> {
  /** Which of them the kernel has is found out by trying. */
  private classifier: Classifier = 'u32';

  constructor(private readonly channel: NetlinkChannel) {}

  async read(): Promise<ReadonlyMap<ShapeKey, Shape>> {
    return shapesOf(await readLinkState(this.channel));
  }

  /** Everything is looked at once more: pods' links come and go, and others work on them too. */
  async commit({ set, removed }: Delta<ShapeKey, Shape>): Promise<ReadonlyMap<ShapeKey, string>> {
    const failures: Failures = new Map();
    const before = await readLinkState(this.channel);
    const feasible = [...set].flatMap(([key, { value }]) => {
      const reason = obstacle(value, before);
      if (reason !== undefined) failures.set(key, reason);
      return reason === undefined ? [[key, value] as const] : [];
    });
    await this.makeDevices(feasible, before, failures);
    await this.limit(feasible, failures);
    await this.takeOut(removed, before, failures);
    return failures;
  }

  private async makeDevices(shapes: Shapes, { links }: LinkState, failures: Failures): Promise<void> {
    const batch = newKeyedBatch(this.channel, failures);
    for (const [key, { ifindex, direction }] of shapes) {
      if (direction === 'ingress') continue;
      const name = ifbName(ifindex);
      if (!links.some(link => link.name === name)) {
        batch.add(key, writer => writeNewIfb(writer, name));
        batch.add(undefined, writer => writeNoAutomaticAddresses(writer, name));
      }
      batch.add(key, writer => writeIfbUp(writer, name, ALIAS));
      await batch.sendIfFull();
    }
    await batch.send();
  }

  /** Buckets first, then what leads to them. */
  private async limit(shapes: Shapes, failures: Failures): Promise<void> {
    if (shapes.length === 0) return;
    const state = await readLinkState(this.channel);
    const batch = newKeyedBatch(this.channel, failures);
    const redirects: Redirect[] = [];
    for (const [key, { ifindex, direction, bucket }] of shapes) {
      if (failures.has(key) || bucket === undefined) continue;
      const at = direction === 'ingress' ? ifindex : indexOfIfb(ifindex, state);
      if (at === undefined) {
        batch.refuse(key, `${ifbName(ifindex)} is not there`);
        continue;
      }
      addBucket(batch, key, at, bucket, state);
      if (direction === 'egress') redirects.push({ key, ifindex, to: at });
      await batch.sendIfFull();
    }
    await batch.send();
    await this.redirect(
      redirects.filter(({ key }) => !failures.has(key)),
      state,
      failures,
    );
  }

  private async redirect(redirects: readonly Redirect[], state: LinkState, failures: Failures): Promise<void> {
    const missing = redirects.filter(
      ({ ifindex, to }) => !state.filters.some(filter => filter.ifindex === ifindex && filter.redirectsTo === to),
    );
    const batch = newKeyedBatch(this.channel, failures);
    for (const { key, ifindex } of missing) {
      if (ingressKind(ifindex, state) === undefined) batch.add(key, writer => writeNewIngress(writer, ifindex));
      else if (hasOurFilter(ifindex, state)) batch.add(key, writer => writeFilterDelete(writer, ifindex, OUR_PRIORITY));
    }
    await batch.send();
    for (const wanted of missing) if (!failures.has(wanted.key)) await this.addRedirect(wanted, failures);
  }

  private async addRedirect({ key, ifindex, to }: Redirect, failures: Failures): Promise<void> {
    const write = (classifier: Classifier) => (writer: NetlinkWriter) =>
      writeRedirect(writer, classifier, ifindex, OUR_PRIORITY, to);
    const { errnos } = await this.channel.transact(request(write(this.classifier)));
    if (errnos[0] === 0) return;
    if (errnos[0] === ENOENT) this.classifier = this.classifier === 'u32' ? 'matchall' : 'u32';
    const batch = newKeyedBatch(this.channel, failures);
    batch.add(key, write(this.classifier));
    await batch.send();
  }

  /** First what leads to a bucket: a filter without its device drops everything. */
  private async takeOut(
    removed: Delta<ShapeKey, Shape>['removed'],
    state: LinkState,
    failures: Failures,
  ): Promise<void> {
    const batch = newKeyedBatch(this.channel, failures);
    for (const [key, { ifindex, direction }] of removed) {
      if (direction === 'ingress') batch.add(key, writer => writeRootDelete(writer, ifindex, OUR_HANDLE), GONE);
      else addEgressRemoval(batch, key, ifindex, state);
      await batch.sendIfFull();
    }
    await batch.send();
  }
}

type Shapes = readonly (readonly [ShapeKey, Shape])[];
interface Redirect {
  readonly key: ShapeKey;
  readonly ifindex: number;
  readonly to: number;
}

function indexOfIfb(ifindex: number, { links }: LinkState): number | undefined {
  return links.find(({ name }) => name === ifbName(ifindex))?.index;
}

function hasOurFilter(ifindex: number, state: LinkState): boolean {
  return state.filters.some(filter => filter.ifindex === ifindex && isOurFilter(filter, state));
}

function addBucket(
  batch: KeyedBatch<ShapeKey>,
  key: ShapeKey,
  ifindex: number,
  bucket: TokenBucket,
  { qdiscs }: LinkState,
): void {
  const isThere = qdiscs.some(qdisc => qdisc.ifindex === ifindex && isOurBucket(qdisc));
  batch.add(key, writer => writeTokenBucket(writer, isThere ? 'change' : 'create', ifindex, OUR_HANDLE, bucket));
}

function addEgressRemoval(batch: KeyedBatch<ShapeKey>, key: ShapeKey, ifindex: number, state: LinkState): void {
  const filters = state.filters.filter(filter => filter.ifindex === ifindex);
  if (hasOurFilter(ifindex, state)) batch.add(key, writer => writeFilterDelete(writer, ifindex, OUR_PRIORITY), GONE);
  const isEmpty = filters.every(
    filter => filter.priority === OUR_PRIORITY && (filter.redirectsTo === undefined || isOurFilter(filter, state)),
  );
  if (isEmpty && ingressKind(ifindex, state) === 'ingress')
    batch.add(key, writer => writeIngressDelete(writer, ifindex), GONE);
  batch.add(key, writer => writeLinkDelete(writer, ifbName(ifindex)), GONE);
}
