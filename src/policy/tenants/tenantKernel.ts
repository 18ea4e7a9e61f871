/** Keeps the tables of both families equal to who is of which tenant: one transaction for everything wanted at once. Impure. */

import { systemClock, type Clock } from '../../core/clock.js';
import type { IpPrefix } from '../../core/ip.js';
import { createReconciler, type Reconciler, type ReconcilerEvent } from '../../core/reconciler.js';
import { readCounts } from '../../kernel/nftables/dump.js';
import { addressOfText, describeEndpoint, keyOctets, setOf, type ElementKey } from '../../kernel/nftables/elements.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import { openTableSockets, type TableSockets } from '../../kernel/nftables/tableSockets.js';
import type { IpText } from '../../kube/objectTypes.js';
import { addressElements, networkElements } from './tenantElements.js';
import type { TenantAddress, TenantDelta } from './tenantModel.js';
import { SETS } from './tenantTable.js';
import { createTenantTarget, STRUCTURE, type TenantTarget } from './tenantTarget.js';

export type TenantEvent =
  /** The first reading: so many elements of a former life were there. */
  | { readonly kind: 'adopted'; readonly family: Family; readonly count: number }
  /** Everything that was wanted is in force. Seconds from the first wish in it. */
  | { readonly kind: 'written'; readonly family: Family; readonly seconds: number; readonly elements: number }
  /** Refused; tried again with back-off. Addresses and networks in words, with the reason. */
  | { readonly kind: 'failed'; readonly family: Family; readonly failures: ReadonlyMap<string, string> }
  | { readonly kind: 'recovered'; readonly family: Family; readonly what: readonly string[] }
  /** Somebody else changed what is ours; it is put right. */
  | { readonly kind: 'drift'; readonly family: Family; readonly what: readonly string[] }
  /** Reading or writing failed as a whole; tried again. */
  | { readonly kind: 'error'; readonly family: Family; readonly text: string };

/** Packets that were dropped, by address of this node's pods, since the address is known here. Up to 2 s old. */
export interface TenantDenials {
  /** Not delivered to it. */
  readonly to: bigint;
  /** It may not send. */
  readonly from: bigint;
}

export interface TenantKernel {
  /** Networks of all nodes' pods: who is in them and no known pod is closed. */
  setNetworks(networks: readonly IpPrefix[]): void;
  apply(delta: TenantDelta): void;
  /** The cluster has told all. Before this nothing is written, and nothing of a former life is removed. */
  begin(): void;
  /** The kernel has all that is wanted, in every family. */
  readonly isSettled: boolean;
  /** The kernel has the rules and all networks of pods: who is in them and not in the kernel yet is closed. */
  readonly isGuarding: boolean;
  denials(addresses: Iterable<IpText>): Promise<ReadonlyMap<IpText, TenantDenials>>;
  idle(): Promise<void>;
  /** What is in the kernel stays. */
  stop(): Promise<void>;
}

export interface TenantKernelOptions {
  readonly families: readonly Family[];
  readonly clock?: Clock;
  /** Milliseconds between two readings when nothing suspicious happens. */
  readonly readBackInterval?: number;
}

/** Changes by others are told of, so this only finds what the telling missed. */
const READ_BACK = 600_000;

/** Opens its sockets before it returns, in the network namespace of the calling thread. @throws SyscallError */
export function openTenantKernel(onEvent: (event: TenantEvent) => void, options: TenantKernelOptions): TenantKernel {
  return new Tables(openTableSockets(), onEvent, options);
}

class Tables implements TenantKernel {
  private readonly tables: readonly FamilyTable[];

  constructor(
    private readonly kernel: TableSockets,
    onEvent: (event: TenantEvent) => void,
    { families, clock = systemClock, readBackInterval = READ_BACK }: TenantKernelOptions,
  ) {
    this.tables = families.map(family => new FamilyTable(family, kernel, onEvent, clock, readBackInterval));
  }

  setNetworks(networks: readonly IpPrefix[]): void {
    for (const table of this.tables) table.setNetworks(networks);
  }

  apply(delta: TenantDelta): void {
    for (const table of this.tables) table.apply(delta);
  }

  begin(): void {
    for (const table of this.tables) table.reconciler.begin();
  }

  get isSettled(): boolean {
    return this.tables.every(({ reconciler }) => reconciler.isAllSettled);
  }

  get isGuarding(): boolean {
    return this.tables.every(table => table.isGuarding);
  }

  async denials(addresses: Iterable<IpText>): Promise<ReadonlyMap<IpText, TenantDenials>> {
    const asked = [...addresses];
    const found = await Promise.all(this.tables.map(table => table.denials(asked)));
    return new Map(found.flatMap(denials => [...denials]));
  }

  async idle(): Promise<void> {
    await Promise.all(this.tables.map(({ reconciler }) => reconciler.idle()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.tables.map(({ reconciler }) => reconciler.stop()));
    this.kernel.close();
  }
}

class FamilyTable {
  readonly reconciler: Reconciler<ElementKey, string>;
  private readonly target: TenantTarget;
  /** What is wanted for each address of the family. */
  private readonly wanted = new Map<IpText, TenantAddress>();
  private networks: ReadonlyMap<ElementKey, string> = new Map();
  private wishedAt: number | undefined;

  constructor(
    private readonly family: Family,
    private readonly kernel: TableSockets,
    private readonly onEvent: (event: TenantEvent) => void,
    private readonly clock: Clock,
    readBackInterval: number,
  ) {
    this.target = createTenantTarget(family, kernel.channel, kernel.transactions);
    this.reconciler = createReconciler<ElementKey, string>({
      target: this.target,
      clock,
      equal: (a, b) => a === b,
      readBackInterval,
      onEvent: event => this.take(event),
    });
    this.want(this.target.fixed);
    kernel.monitor.watch(this.target.table, () => this.reconciler.readSoon());
  }

  get isGuarding(): boolean {
    return [STRUCTURE, ...this.networks.keys()].every(key => this.reconciler.isSettled(key));
  }

  setNetworks(networks: readonly IpPrefix[]): void {
    const next = networkElements(networks.filter(({ address }) => address.version === this.family));
    const changes = new Map<ElementKey, string | undefined>();
    for (const key of this.networks.keys()) if (!next.has(key)) changes.set(key, undefined);
    for (const [key, value] of next) if (!this.networks.has(key)) changes.set(key, value);
    this.networks = next;
    this.want(changes);
  }

  apply({ set, removed }: TenantDelta): void {
    const changes = new Map<ElementKey, string | undefined>();
    const leave = (address: IpText): void => {
      const before = this.wanted.get(address);
      if (before === undefined) return;
      for (const key of addressElements(address, before).keys()) changes.set(key, undefined);
      this.wanted.delete(address);
    };
    for (const address of removed) leave(address);
    for (const [address, tenant] of set) {
      if (familyOf(address) !== this.family) continue;
      leave(address);
      this.wanted.set(address, tenant);
      for (const [key, value] of addressElements(address, tenant)) changes.set(key, value);
    }
    this.want(changes);
  }

  async denials(addresses: readonly IpText[]): Promise<ReadonlyMap<IpText, TenantDenials>> {
    if (!this.reconciler.isSettled(STRUCTURE)) return new Map();
    const { channel } = this.kernel;
    const to = await readCounts(channel, this.target.table, SETS.deniedTo);
    const from = await readCounts(channel, this.target.table, SETS.deniedFrom);
    return new Map(
      addresses.flatMap(address => {
        if (familyOf(address) !== this.family) return [];
        const octets = addressOfText(address);
        const denials = { to: to.get(octets)?.packets ?? 0n, from: from.get(octets)?.packets ?? 0n };
        return [[address, denials] as const];
      }),
    );
  }

  private want(changes: ReadonlyMap<ElementKey, string | undefined>): void {
    if (changes.size === 0) return;
    this.wishedAt ??= this.clock.now();
    this.reconciler.apply(changes);
  }

  private take(event: ReconcilerEvent<ElementKey>): void {
    const { family } = this;
    const names = (keys: Iterable<ElementKey>): readonly string[] => [
      ...new Set([...keys].map(key => describe(key, family))),
    ];
    switch (event.kind) {
      case 'written': {
        const now = this.clock.now();
        const seconds = (now - (this.wishedAt ?? now)) / 1000;
        this.wishedAt = undefined;
        this.onEvent({ kind: 'written', family, seconds, elements: event.set.length + event.removed.length });
        return;
      }
      case 'failed': {
        const failures = new Map([...event.failures].map(([key, text]) => [describe(key, family), text]));
        this.onEvent({ kind: 'failed', family, failures });
        return;
      }
      case 'recovered':
        this.onEvent({ kind: 'recovered', family, what: names(event.keys) });
        return;
      case 'drift':
        this.onEvent({ kind: 'drift', family, what: names(event.keys) });
        return;
      case 'adopted':
      case 'error':
        this.onEvent({ ...event, family });
    }
  }
}

function familyOf(address: IpText): Family {
  return address.includes(':') ? 6 : 4;
}

function describe(key: ElementKey, family: Family): string {
  if (key === STRUCTURE || setOf(key) === SETS.discovery) return `rules of IPv${family}`;
  const octets = keyOctets(key);
  const size = family === 4 ? 4 : 16;
  if (setOf(key) === SETS.podNetworks) return `pod network from ${describeEndpoint(octets.slice(4, 4 + size), family)}`;
  return describeEndpoint(octets.slice(-size), family);
}
