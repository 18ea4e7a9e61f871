/**
 * A backend that takes away what one of the other kind left on this machine, once it serves in its place: between the two no
 * packet finds nobody. Impure.
 */

import type { Logger } from 'pino';
import type { Clock, TimerHandle } from '../../core/clock.js';
import { openLeftovers, type Leftovers, type LeftoversOptions } from '../../proxy/leftovers.js';
import type { OpenProxyBackend, ProxyBackend } from '../../proxy/proxyBackend.js';

export interface ModeChangeOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds that open connections through the other backend may take to end. */
  readonly patience: number;
  readonly leftovers: LeftoversOptions;
  readonly open?: (options: LeftoversOptions) => Leftovers;
}

/** Milliseconds between two looks whether its connections have ended, or after a failure. */
const LOOK_AGAIN = 5000;

export function afterModeChange(open: OpenProxyBackend, options: ModeChangeOptions): OpenProxyBackend {
  return async onEvent => {
    // Opened first: sockets belong to the network namespace in which they are opened.
    const leftovers = (options.open ?? openLeftovers)(options.leftovers);
    let isBroken = false;
    const opened = await open(event => {
      if (event.kind === 'error') isBroken = true;
      else if (event.kind === 'committed' || event.kind === 'adopted') isBroken = false;
      onEvent(event);
    });
    const change = new ModeChange(opened, leftovers, options, () => isBroken);
    return {
      kind: opened.kind,
      configure: settings => opened.configure(settings),
      apply: delta => opened.apply(delta),
      begin: () => {
        opened.begin();
        change.begin();
      },
      read: keys => opened.read(keys),
      counters: () => opened.counters(),
      idle: () => opened.idle(),
      stop: async () => {
        change.end();
        await opened.stop();
        await change.closed();
      },
    };
  };
}

class ModeChange {
  private timer: TimerHandle | undefined;
  private until: number | undefined;
  private looking: Promise<void> = Promise.resolve();
  private isOver = false;
  private readonly told = new Set<string>();

  constructor(
    private readonly backend: ProxyBackend,
    private readonly leftovers: Leftovers,
    private readonly options: ModeChangeOptions,
    private readonly isBroken: () => boolean,
  ) {}

  begin(): void {
    this.looking = this.look().catch((error: unknown) => this.failed(error));
  }

  end(): void {
    this.isOver = true;
    this.timer?.cancel();
  }

  async closed(): Promise<void> {
    await this.looking;
    this.leftovers.close();
  }

  private async look(): Promise<void> {
    if (this.until === undefined) await this.backend.idle();
    if (this.isOver) return;
    if (this.isBroken()) {
      this.again();
      return;
    }
    const other = this.backend.kind === 'ipvs' ? 'nftables' : 'ipvs';
    const { clock, logger, patience } = this.options;
    this.until ??= clock.now() + patience;
    const connections = clock.now() < this.until ? await this.leftovers.connections(other) : 0;
    if (connections > 0) {
      if (!this.told.has('waits')) logger.info({ connections, mode: other }, 'connections of the other mode may end');
      this.told.add('waits');
      this.again();
      return;
    }
    const { removed, left } = await this.leftovers.remove(other);
    if (removed.length > 0) logger.info({ mode: other, removed }, 'took away what another mode of the proxy left');
    if (left.length === 0) return;
    this.failed(new Error(left.join('; ')));
  }

  private failed(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    if (!this.told.has(text))
      this.options.logger.warn({ err: text }, 'what another mode of the proxy left stays for now');
    this.told.add(text);
    this.again();
  }

  private again(): void {
    if (this.isOver) return;
    this.timer = this.options.clock.setTimeout(() => this.begin(), LOOK_AGAIN);
  }
}
