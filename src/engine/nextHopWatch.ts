/** Tells whoever knows the kernel's routes which next hops are in use, each address once. */

import { formatAddress, type IpAddress } from '../core/ip.js';
import type { NextHops } from '../rib/nextHops.js';
import type { EngineListeners } from './engineTypes.js';

export class NextHopWatch {
  /** How many next hops share an address (with and without a link-local companion). */
  private readonly uses = new Map<string, number>();
  /** Told, and nothing has been heard of them yet: routes through them are not usable so far. */
  private readonly unanswered = new Set<string>();

  constructor(
    private readonly nextHops: NextHops,
    private readonly listeners: Pick<EngineListeners, 'nextHops'>,
  ) {}

  /** Whether an answer is still to come. */
  get isAsking(): boolean {
    return this.unanswered.size > 0;
  }

  /** Something has been heard of them. */
  answered(addresses: readonly IpAddress[]): void {
    for (const address of addresses) this.unanswered.delete(formatAddress(address));
  }

  /** Passes on what has changed since the last call. */
  tell(): void {
    const changes = this.nextHops.takeChanges();
    if (changes.added.length === 0 && changes.removed.length === 0) return;
    const before = new Map<string, number>();
    const touched = new Map<string, IpAddress>();
    const count = (address: IpAddress, by: 1 | -1): void => {
      const key = formatAddress(address);
      const uses = this.uses.get(key) ?? 0;
      if (!before.has(key)) before.set(key, uses);
      touched.set(key, address);
      if (uses + by === 0) this.uses.delete(key);
      else this.uses.set(key, uses + by);
    };
    for (const address of changes.added) count(address, 1);
    for (const address of changes.removed) count(address, -1);
    const added: IpAddress[] = [];
    const removed: IpAddress[] = [];
    for (const [key, address] of touched) {
      const now = this.uses.has(key);
      if (now && before.get(key) === 0) added.push(address);
      if (!now && before.get(key) !== 0) removed.push(address);
    }
    for (const address of added) this.unanswered.add(formatAddress(address));
    this.answered(removed);
    if (added.length > 0 || removed.length > 0) this.listeners.nextHops(added, removed);
  }
}
