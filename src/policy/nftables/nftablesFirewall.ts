/** The policy firewall: a table of its own in each family, kept equal to what the policies come to. Impure: netlink sockets. */

import { systemClock, type Clock } from '../../core/clock.js';
import type { Family } from '../../kernel/nftables/ruleParts.js';
import { openTableSockets, type TableSockets } from '../../kernel/nftables/tableSockets.js';
import type { Denial, FirewallEvent, FirewallSettings, LoggedDecision, PolicyFirewall } from '../policyFirewall.js';
import type { PodName, PolicyDelta } from '../policyTypes.js';
import { LOG_PREFIX } from './chains.js';
import { createFamilyFirewall, type FamilyFirewall } from './familyFirewall.js';

export interface NftablesFirewallOptions {
  readonly clock?: Clock;
  /** Milliseconds between two readings when nothing suspicious happens. */
  readonly readBackInterval?: number;
  /** Opened already, and closed with the firewall. */
  readonly sockets?: TableSockets;
}

/** Changes by others are told of, so this only finds what the telling missed. */
const READ_BACK = 600_000;

/**
 * Opens its sockets before it returns, in the network namespace of the calling thread.
 * @throws SyscallError
 */
export function openNftablesFirewall(
  onEvent: (event: FirewallEvent) => void,
  options: NftablesFirewallOptions = {},
): PolicyFirewall {
  return new NftablesFirewall(options.sockets ?? openTableSockets(), onEvent, options);
}

class NftablesFirewall implements PolicyFirewall {
  private readonly tables = new Map<Family, FamilyFirewall>();
  /** Pods of which something was wanted that is not known to be done. */
  private readonly unsettled = new Set<PodName>();
  private settings: FirewallSettings | undefined;
  private begun = false;

  constructor(
    private readonly kernel: TableSockets,
    private readonly onEvent: (event: FirewallEvent) => void,
    { clock = systemClock, readBackInterval = READ_BACK }: NftablesFirewallOptions,
  ) {
    for (const family of [4, 6] as const)
      this.tables.set(
        family,
        createFamilyFirewall({ family, ...kernel, clock, readBackInterval, onEvent: event => this.take(event) }),
      );
  }

  get isSettled(): boolean {
    return this.on.every(table => table.isSettled);
  }

  configure(settings: FirewallSettings): void {
    this.settings = settings;
    for (const table of this.tables.values()) table.configure(settings);
    if (this.begun) this.begin();
  }

  apply(delta: PolicyDelta): void {
    for (const key of delta.pods.removed) this.unsettled.delete(key);
    for (const key of delta.pods.set.keys()) this.unsettled.add(key);
    for (const table of this.tables.values()) table.apply(delta);
    if (this.begun) this.tellProgrammed();
  }

  async hold(): Promise<void> {
    await Promise.all(this.on.map(table => table.hold()));
  }

  begin(): void {
    this.begun = true;
    for (const table of this.on) table.begin();
  }

  async denials(): Promise<readonly Denial[]> {
    return (await Promise.all(this.on.map(table => table.denials()))).flat();
  }

  decisionOf(prefix: string): LoggedDecision | undefined {
    if (!prefix.startsWith(LOG_PREFIX)) return undefined;
    const digest = prefix.slice(LOG_PREFIX.length).trim();
    for (const table of this.tables.values()) {
      const found = table.decision(digest);
      if (found !== undefined) return { direction: found.direction, cause: found.cause };
    }
    return undefined;
  }

  async idle(): Promise<void> {
    await Promise.all(this.on.map(table => table.idle()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.tables.values()].map(table => table.stop()));
    this.kernel.close();
  }

  /** Tables of the families that are on. */
  private get on(): readonly FamilyFirewall[] {
    const isOn = { 4: this.settings?.ipv4 === true, 6: this.settings?.ipv6 === true };
    return [...this.tables].flatMap(([family, table]) => (isOn[family] ? [table] : []));
  }

  private take(event: FirewallEvent): void {
    this.onEvent(event);
    if (event.kind === 'adopted' || event.kind === 'committed' || event.kind === 'recovered') this.tellProgrammed();
  }

  private tellProgrammed(): void {
    const tables = this.on;
    const pods = [...this.unsettled].filter(pod => tables.every(table => table.isProgrammed(pod)));
    for (const pod of pods) this.unsettled.delete(pod);
    if (pods.length > 0) this.onEvent({ kind: 'programmed', pods });
  }
}
