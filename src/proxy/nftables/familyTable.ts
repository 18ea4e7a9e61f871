/** One table of one family: plan, reconciler and target together, and what happened told in terms of frontends. */

import type { Clock } from '../../core/clock.js';
import type { IpAddress } from '../../core/ip.js';
import { createReconciler, type Reconciler, type ReconcilerEvent } from '../../core/reconciler.js';
import type { NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { TableMonitor } from '../../kernel/nftables/tableMonitor.js';
import type { Transactions } from '../../kernel/nftables/transaction.js';
import type { KernelFrontend, ProxyEvent, TrafficCounters } from '../proxyBackend.js';
import type { Family, Frontend, FrontendKey, ProxyDelta, ProxySettings, ServicePortKey } from '../proxyTypes.js';
import {
  addressOfText,
  describeEndpoint,
  elementKey,
  keyOctets,
  portOctets,
  setOf,
  type ElementKey,
} from '../../kernel/nftables/elements.js';
import { createFlowCleaner, type FlowCleaner } from './flowCleaner.js';
import type { Layout, LayoutSettings } from './layout.js';
import { askKernel, readLookedUp } from './lookUp.js';
import { CHAINS, createPlan, type Plan, type PlanChanges } from './plan.js';
import { frontendOctets } from './servicePortElements.js';
import type { TableKind } from './tableKind.js';
import { addTraffic, countingPlaces, forgetCounted, readCounted, readCountedAt, trafficOf } from './traffic.js';
import { createTableTarget, fingerprint, STRUCTURE, type TableTarget } from './tableTarget.js';

export interface FamilyTableOptions {
  readonly kind: TableKind;
  readonly family: Family;
  readonly channel: NetlinkChannel;
  readonly transactions: Transactions;
  readonly clock: Clock;
  readonly readBackInterval: number;
  /** Tells when others change the table; absent: only reading finds out. */
  readonly monitor?: TableMonitor;
  /** Addresses of this machine as they are now, of any family. Absent: counts of node ports are looked for everywhere. */
  readonly localAddresses?: () => Promise<readonly IpAddress[]>;
  onEvent(event: ProxyEvent): void;
}

export interface FamilyTable {
  configure(settings: ProxySettings): void;
  apply(delta: ProxyDelta): void;
  begin(): void;
  read(keys: readonly FrontendKey[]): Promise<readonly KernelFrontend[]>;
  /** Of all service ports that something is wanted for. Empty where nothing is counted. */
  counters(): Promise<ReadonlyMap<ServicePortKey, TrafficCounters>>;
  idle(): Promise<void>;
  stop(): Promise<void>;
}

export function createFamilyTable(options: FamilyTableOptions): FamilyTable {
  return new PlannedTable(options);
}

/** Until the first settings come nothing is written, so these are never seen in a kernel. */
const UNSET: LayoutSettings = {
  podDetector: { kind: 'none' },
  nodePortAddresses: 'all',
  serviceCidrs: [],
  masqueradeAll: false,
  masqueradeBit: 14,
  countTraffic: false,
  ipvs: { guardAddresses: false },
};

class PlannedTable implements FamilyTable {
  private readonly plan: Plan;
  private readonly target: TableTarget;
  private readonly reconciler: Reconciler<ElementKey, string>;
  /** Service ports of which something was wanted that is not known to be done. */
  private readonly unsettled = new Set<ServicePortKey>();
  /** Frontends that were wanted and are not any more. */
  private readonly leaving = new Map<FrontendKey, Frontend>();
  private readonly told = new Map<FrontendKey, Frontend>();
  private readonly failed = new Map<FrontendKey, string>();
  /** UDP frontends whose flows are to be looked at once the rules are as wanted. */
  private readonly udp = new Map<FrontendKey, Frontend>();
  private readonly cleaner: FlowCleaner;
  private nodeAddresses: ReadonlySet<string> = new Set();
  private countTraffic = false;
  /** Until then the kernel is not to be touched, and nothing waits for it. */
  private hasBegun = false;
  private wishedAt: number | undefined;
  private readonly mark: { current: string };
  private layout: Layout;

  constructor(private readonly options: FamilyTableOptions) {
    const { kind, family, channel, transactions, clock, readBackInterval } = options;
    this.plan = createPlan(family, kind);
    this.cleaner = createFlowCleaner(channel, family, event => options.onEvent(event));
    this.layout = kind.layoutOf(family, UNSET);
    this.mark = { current: fingerprint(this.layout) };
    const groupsOf = (keys: readonly ElementKey[]): ReadonlyMap<ElementKey, string> => this.groupsOf(keys);
    this.target = createTableTarget(
      { table: kind.table, family, channel, transactions, entrances: kind.frontendSets, groupsOf },
      this.layout,
    );
    this.reconciler = createReconciler<ElementKey, string>({
      target: this.target,
      clock,
      equal: (a, b) => a === b,
      readBackInterval,
      onEvent: event => this.onEvent(event),
    });
    options.monitor?.watch(this.target.table, () => this.reconciler.readSoon());
  }

  configure(settings: ProxySettings): void {
    const layout = this.options.kind.layoutOf(this.options.family, settings);
    const mark = fingerprint(layout);
    if (mark !== this.mark.current) {
      this.mark.current = mark;
      this.layout = layout;
      this.target.setLayout(layout);
      // The table is replaced whole, with all its elements: that begins with a reading that finds another structure.
      this.reconciler.readFirst();
    }
    this.reconciler.apply([[STRUCTURE, mark], ...layout.elements]);
    this.nodeAddresses = new Set(settings.nodeAddresses.map(addressOfText));
    this.want(this.plan.setNodeAddresses(settings.nodeAddresses));
    this.countTraffic = settings.countTraffic;
  }

  apply(delta: ProxyDelta): void {
    for (const key of delta.frontends.removed) {
      const frontend = this.told.get(key);
      if (frontend !== undefined) this.leaving.set(key, frontend);
      if (frontend?.protocol === 'UDP') this.udp.set(key, frontend);
      this.told.delete(key);
      this.failed.delete(key);
    }
    for (const [key, frontend] of delta.frontends.set) {
      if (frontend.family !== this.options.family) continue;
      this.leaving.delete(key);
      this.told.set(key, frontend);
    }
    this.want(this.plan.apply(delta));
  }

  begin(): void {
    this.hasBegun = true;
    this.wishedAt ??= this.options.clock.now();
    this.reconciler.begin();
  }

  async read(keys: readonly FrontendKey[]): Promise<readonly KernelFrontend[]> {
    const mine = keys.flatMap(key => this.told.get(key) ?? []);
    if (mine.length === 0) return [];
    const { kind, family, channel } = this.options;
    const ask = (key: ElementKey): Promise<string | undefined> => askKernel(channel, this.target.table, key);
    const found = await readLookedUp(
      present => mine.flatMap(frontend => kind.read(frontend, family, present) ?? []),
      ask,
    );
    const traffic = await this.trafficAt(mine);
    return found.map(one => ({ ...one, counters: traffic.get(one.key) }));
  }

  async counters(): Promise<ReadonlyMap<ServicePortKey, TrafficCounters>> {
    const counters = new Map<ServicePortKey, TrafficCounters>();
    if (!this.isCounting) return counters;
    for (const [key, counted] of await this.traffic()) {
      const port = this.told.get(key)?.servicePort;
      if (port !== undefined) counters.set(port, addTraffic(counters.get(port), counted));
    }
    return counters;
  }

  async idle(): Promise<void> {
    await this.reconciler.idle();
    await this.cleaner.idle();
  }

  async stop(): Promise<void> {
    await this.reconciler.stop();
    await this.cleaner.idle();
  }

  /** Nothing before there is a table. */
  private get isCounting(): boolean {
    return this.countTraffic && this.options.kind.countsTraffic && this.reconciler.isSettled(STRUCTURE);
  }

  /** Of a few frontends, without reading what others have counted. */
  private async trafficAt(frontends: readonly Frontend[]): Promise<ReadonlyMap<FrontendKey, TrafficCounters>> {
    const { channel, localAddresses } = this.options;
    if (!this.isCounting) return new Map();
    const hasNodePorts = frontends.some(({ address }) => address === undefined);
    const local = hasNodePorts ? await localAddresses?.() : [];
    const places = local === undefined ? undefined : countingPlaces(frontends, local);
    if (places === undefined) return this.traffic();
    return trafficOf(await readCountedAt(channel, this.target.table, places), frontends).traffic;
  }

  private async traffic(): Promise<ReadonlyMap<FrontendKey, TrafficCounters>> {
    const { channel, transactions } = this.options;
    if (!this.isCounting) return new Map();
    const counted = await readCounted(channel, this.target.table);
    const { traffic, strangers } = trafficOf(counted, this.told.values());
    await forgetCounted(transactions, this.target.table, strangers);
    return traffic;
  }

  private want({ elements, touched }: PlanChanges): void {
    for (const port of touched) {
      this.unsettled.add(port);
      for (const frontend of this.plan.frontendsOf(port))
        if (frontend.protocol === 'UDP') this.udp.set(frontend.key, frontend);
    }
    if (this.hasBegun && elements.size > 0) this.wishedAt ??= this.options.clock.now();
    this.reconciler.apply(elements);
    // Wanted as it is already: nothing will be written for it.
    if (elements.size === 0) this.tellSettled();
  }

  private onEvent(event: ReconcilerEvent<ElementKey>): void {
    switch (event.kind) {
      case 'adopted':
        this.options.onEvent({ kind: 'adopted', count: this.countFrontends() });
        this.tellSettled();
        return;
      case 'written':
        this.tellCommitted(event.set.includes(STRUCTURE));
        this.tellSettled();
        return;
      case 'failed': {
        this.tellFailed(event.failures);
        return;
      }
      case 'recovered': {
        this.tellSettled();
        return;
      }
      case 'drift': {
        this.options.onEvent({ kind: 'drift', what: event.keys.map(key => this.describe(key)) });
        return;
      }
      case 'error': {
        this.options.onEvent({ kind: 'error', text: event.text });
        return;
      }
    }
  }

  private tellCommitted(full: boolean): void {
    const now = this.options.clock.now();
    const seconds = (now - (this.wishedAt ?? now)) / 1000;
    this.wishedAt = undefined;
    this.options.onEvent({ kind: 'committed', seconds, frontends: this.told.size, full });
  }

  /** Tells which frontends are served now as they should be, and which are gone. */
  private tellSettled(): void {
    const programmed: FrontendKey[] = [];
    const recovered: FrontendKey[] = [];
    for (const port of this.unsettled) {
      if (!this.isSettled(port)) continue;
      this.unsettled.delete(port);
      for (const { key } of this.plan.frontendsOf(port)) {
        programmed.push(key);
        if (this.failed.delete(key)) recovered.push(key);
      }
    }
    if (programmed.length > 0) this.options.onEvent({ kind: 'programmed', frontends: programmed });
    if (recovered.length > 0) this.options.onEvent({ kind: 'recovered', frontends: recovered });
    this.tellRemoved();
    this.cleanFlows();
  }

  private tellRemoved(): void {
    const { present } = this.reconciler;
    const gone = [...this.leaving].filter(([, frontend]) => {
      const octets = frontendOctets(frontend);
      return this.options.kind.frontendSets.every(set => !present.has(elementKey(set, octets)));
    });
    for (const [key] of gone) this.leaving.delete(key);
    if (gone.length > 0) this.options.onEvent({ kind: 'removed', frontends: gone.map(([key]) => key) });
  }

  private cleanFlows(): void {
    if (!this.options.kind.deletesFlows) return;
    const servers = new Map<string, ReadonlySet<string>>();
    for (const [key, frontend] of this.udp) {
      if (this.leaving.has(key) || this.unsettled.has(frontend.servicePort)) continue;
      this.udp.delete(key);
      const serving = this.told.has(key) ? (this.plan.listsOf(frontend.servicePort)?.serving ?? []) : [];
      const targets = serving.map(({ address, port }) => `${addressOfText(address)}${portOctets(port)}`);
      servers.set(frontendOctets(frontend), new Set(targets));
    }
    if (servers.size > 0) this.cleaner.clean({ servers, nodeAddresses: this.nodeAddresses });
  }

  private isSettled(port: ServicePortKey): boolean {
    if (this.reconciler.isAllSettled) return true;
    if (!this.reconciler.isSettled(STRUCTURE)) return false;
    const elements = this.plan.elementsOf(port);
    if (elements === undefined) return true;
    for (const key of elements.own.keys()) if (!this.reconciler.isSettled(key)) return false;
    for (const key of elements.shared) if (!this.reconciler.isSettled(key)) return false;
    return true;
  }

  private tellFailed(failures: ReadonlyMap<ElementKey, string>): void {
    const told = new Map<FrontendKey, string>();
    const groups = this.groupsOf([...failures.keys()]);
    for (const [key, text] of failures) {
      for (const port of this.portsOf(groups.get(key)))
        for (const frontend of this.plan.frontendsOf(port)) told.set(frontend.key, text);
    }
    for (const [key, text] of told) this.failed.set(key, text);
    if (told.size > 0) this.options.onEvent({ kind: 'failed', failures: told });
    else this.options.onEvent({ kind: 'error', text: [...new Set(failures.values())].join('; ') });
  }

  private portsOf(group: string | undefined): readonly ServicePortKey[] {
    return [...this.unsettled].filter(port => port === group);
  }

  /** On the way of a refusal only, so it may look at everything. */
  private groupsOf(keys: readonly ElementKey[]): ReadonlyMap<ElementKey, string> {
    const wanted = new Set(keys);
    const groups = new Map<ElementKey, string>();
    for (const port of this.plan.ports)
      for (const key of this.plan.elementsOf(port)?.own.keys() ?? []) if (wanted.has(key)) groups.set(key, port);
    const size = this.options.family === 4 ? 12 : 24;
    const { groupOf } = this.options.kind;
    const shapes = new Map(this.layout.sets.map(shape => [shape.name, shape.key]));
    const byEndpoint = (key: ElementKey): string | undefined =>
      // Elements without a protocol are addresses, which several service ports may need.
      shapes.get(setOf(key))?.includes('inet_proto') === true ? keyOctets(key).slice(0, size) : undefined;
    for (const key of keys) {
      if (groups.has(key) || key === STRUCTURE || setOf(key) === CHAINS) continue;
      const group = groupOf === undefined ? byEndpoint(key) : groupOf(key, this.reconciler.present);
      if (group !== undefined) groups.set(key, group);
    }
    return groups;
  }

  private countFrontends(): number {
    let count = 0;
    for (const key of this.reconciler.present.keys()) {
      const set = setOf(key);
      if (this.options.kind.frontendSets.includes(set)) count += 1;
    }
    return count;
  }

  private describe(key: ElementKey): string {
    if (key === STRUCTURE) return 'rules';
    const set = setOf(key);
    if (set === CHAINS) return `chain ${keyOctets(key)}`;
    const { kind, family } = this.options;
    return `${set} ${kind.describe?.(key, family) ?? describeEndpoint(keyOctets(key), family)}`;
  }
}
