/** A backend together with the kernel switches that it needs, which are set again when somebody changes them. Impure. */

import type { Logger } from 'pino';
import type { Clock, TimerHandle } from '../../core/clock.js';
import type { ProblemReport } from '../../kube/problems.js';
import { sysctlName, type Switches } from '../../kernel/sysctl.js';
import type { OpenProxyBackend, ProxyBackend } from '../../proxy/proxyBackend.js';
import type { ProxySettings } from '../../proxy/proxyTypes.js';
import { setSwitches } from '../plumbing/switchMemory.js';
import { proxySwitches, type ConntrackLimits, type Machine } from './proxySwitches.js';

export interface SwitchKeeperOptions {
  readonly switches: Switches;
  readonly machine: Machine;
  readonly conntrack: ConntrackLimits;
  /** Where it is remembered what they said before. */
  readonly stateDirectory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly report: (found: ProblemReport) => void;
}

/** Milliseconds between two looks at the switches. */
const INTERVAL = 60_000;

export function withSwitches(open: OpenProxyBackend, options: SwitchKeeperOptions): OpenProxyBackend {
  return async onEvent => {
    const backend = await open(onEvent);
    const keeper = new SwitchKeeper(backend.kind, options);
    return {
      kind: backend.kind,
      // First the switches: with others the backend's packets would go astray.
      configure: settings => {
        keeper.configure(settings);
        backend.configure(settings);
      },
      apply: delta => backend.apply(delta),
      begin: () => backend.begin(),
      read: keys => backend.read(keys),
      counters: () => backend.counters(),
      idle: () => backend.idle(),
      stop: async () => {
        keeper.stop();
        await backend.stop();
      },
    };
  };
}

class SwitchKeeper {
  private settings: ProxySettings | undefined;
  private timer: TimerHandle | undefined;
  private readonly told = new Map<string, string>();

  constructor(
    private readonly backend: ProxyBackend['kind'],
    private readonly options: SwitchKeeperOptions,
  ) {}

  configure(settings: ProxySettings): void {
    this.settings = settings;
    this.look();
  }

  stop(): void {
    this.settings = undefined;
    this.timer?.cancel();
  }

  private look(): void {
    const { settings } = this;
    if (settings === undefined) return;
    try {
      this.set(settings);
    } catch (error) {
      this.tell(new Map([['switches', error instanceof Error ? error.message : String(error)]]));
    }
    this.timer?.cancel();
    this.timer = this.options.clock.setTimeout(() => this.look(), INTERVAL);
  }

  private set(settings: ProxySettings): void {
    const { switches, conntrack, machine, stateDirectory, logger } = this.options;
    const wanted = proxySwitches({ backend: this.backend, settings, conntrack, machine }, switches);
    const { set, drifted, failures } = setSwitches(switches, wanted, stateDirectory);
    if (set.length > 0)
      logger.info({ sysctl: set.map(([name, value]) => `${sysctlName(name)}=${value}`) }, 'kernel switches set');
    if (drifted.length > 0)
      logger.warn({ sysctl: drifted.map(sysctlName) }, 'switches were changed by somebody else; put right');
    this.tell(failures);
  }

  /** Limits that cannot be set, as in a network namespace, are told in the log once: services are served all the same. */
  private tell(failures: ReadonlyMap<string, string>): void {
    for (const [name, text] of failures) {
      if (this.told.get(name) !== text && isLimit(name))
        this.options.logger.warn({ sysctl: sysctlName(name), err: text }, 'limit of connection tracking cannot be set');
      this.told.set(name, text);
    }
    const problems = [...failures].flatMap(([name, text]) =>
      isLimit(name) ? [] : [{ subject: 'kernel switches', text: `${sysctlName(name)} cannot be set: ${text}` }],
    );
    this.options.report(new Map([['proxy switches', problems]]));
  }
}

function isLimit(name: string): boolean {
  return name.startsWith('netfilter/');
}
