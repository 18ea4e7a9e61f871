/**
 * Prepares this node's pods for direct server return, and takes it back: asks the container runtime which network namespace is
 * whose, again and again, since pods come and go, and a restarted one has another namespace with the same address. Impure.
 */

import type { Clock, TimerHandle } from '../../core/clock.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { ContainerRuntime } from './containerRuntime.js';
import type { Sandbox } from './criMessages.js';
import type { applyInPod, PodTunnel } from './podTunnel.js';

export interface DsrPodsOptions {
  readonly clock: Clock;
  /** Called when it is first needed. @returns why there is none */
  readonly openRuntime: () => Promise<ContainerRuntime | string>;
  readonly apply: typeof applyInPod;
  /** What is wrong now, by address of the pod, or by whatever stands for all. */
  readonly onProblems: (problems: ReadonlyMap<string, string>) => void;
  /** Told after a pass: the smallest MTU of prepared pods. Undefined: there are none. */
  readonly onMtu: (mtu: number | undefined) => void;
}

export interface DsrPods {
  /** @param pods those that changed: the addresses that each shall have; empty: none any more */
  want(pods: ReadonlyMap<IpText, ReadonlySet<IpText>>): void;
  /** Resolves when the pass under way, or due now, is over. */
  idle(): Promise<void>;
  /** What pods have stays. */
  stop(): Promise<void>;
}

const GATHER = 50;
const INTERVAL = 10_000;
/** Passes after which everything is looked at again, whether it is believed to be there or not. */
const LOOK_AGAIN = 6;

export function createDsrPods(options: DsrPodsOptions): DsrPods {
  return new Loop(options);
}

interface Known {
  readonly sandbox: Sandbox;
  /** What was applied last; undefined: nothing is known. */
  applied: string | undefined;
  mtu: number | undefined;
}

class Loop implements DsrPods {
  private readonly wanted = new Map<IpText, ReadonlySet<IpText>>();
  private readonly known = new Map<string, Known>();
  private runtime: ContainerRuntime | undefined;
  private timer: TimerHandle | undefined;
  private passing: Promise<void> = Promise.resolve();
  private passes = 0;
  private stopped = false;

  constructor(private readonly options: DsrPodsOptions) {}

  want(pods: ReadonlyMap<IpText, ReadonlySet<IpText>>): void {
    if (pods.size === 0) return;
    for (const [pod, vips] of pods) {
      if (vips.size === 0) this.wanted.delete(pod);
      else this.wanted.set(pod, vips);
    }
    this.wake(GATHER);
  }

  async idle(): Promise<void> {
    await this.passing;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.timer?.cancel();
    await this.passing;
    this.runtime?.close();
  }

  private wake(delay: number): void {
    if (this.stopped) return;
    this.timer?.cancel();
    this.timer = this.options.clock.setTimeout(() => {
      this.passing = this.passing.then(() => this.pass());
    }, delay);
  }

  private async pass(): Promise<void> {
    if (this.stopped) return;
    const problems = new Map<string, string>();
    this.passes += 1;
    if (this.passes % LOOK_AGAIN === 0) for (const known of this.known.values()) known.applied = undefined;
    try {
      const runtime = await this.open();
      await this.readSandboxes(runtime);
      for (const known of this.known.values()) await this.prepare(known, problems);
      this.findMissing(problems);
    } catch (error) {
      problems.set('container runtime', textOf(error));
    }
    this.options.onProblems(problems);
    const mtus = [...this.known.values()].flatMap(({ mtu }) => mtu ?? []);
    this.options.onMtu(mtus.length === 0 ? undefined : Math.min(...mtus));
    // Without services of this kind nobody is asked any more, once all is taken back.
    if (this.wanted.size > 0 || problems.size > 0) this.wake(INTERVAL);
  }

  private async open(): Promise<ContainerRuntime> {
    if (this.runtime !== undefined) return this.runtime;
    const opened = await this.options.openRuntime();
    if (typeof opened === 'string') throw new Error(opened);
    this.runtime = opened;
    return opened;
  }

  private async readSandboxes(runtime: ContainerRuntime): Promise<void> {
    const ids = new Set(await runtime.list());
    for (const id of this.known.keys()) if (!ids.has(id)) this.known.delete(id);
    for (const id of ids) {
      if (this.known.has(id)) continue;
      const sandbox = await runtime.sandbox(id);
      // One without addresses is still being made.
      if (sandbox === undefined || sandbox.addresses.length === 0) continue;
      this.known.set(id, { sandbox, applied: undefined, mtu: undefined });
    }
  }

  private async prepare(known: Known, problems: Map<string, string>): Promise<void> {
    const { sandbox } = known;
    // A pod on the node's own network gets what the node gets.
    if (sandbox.namespaces.length === 0 || this.stopped) return;
    const tunnels = sandbox.addresses.map(text => this.tunnelOf(text as IpText));
    const wish = tunnels.map(({ pod, vips }) => `${pod}=${[...vips].sort().join(',')}`).join(' ');
    if (known.applied === wish) return;
    try {
      const mtu = await this.options.apply(sandbox.namespaces, tunnels);
      known.applied = wish;
      known.mtu = tunnels.some(({ vips }) => vips.size > 0) && Number.isFinite(mtu) ? mtu : undefined;
    } catch (error) {
      if (tunnels.some(({ vips }) => vips.size > 0)) problems.set(tunnels[0]?.pod ?? sandbox.id, textOf(error));
      // A pod of which nothing is wanted is none of our business.
      else known.applied = wish;
    }
  }

  private tunnelOf(pod: IpText): PodTunnel {
    return { pod, vips: this.wanted.get(pod) ?? new Set() };
  }

  private findMissing(problems: Map<string, string>): void {
    const here = new Set(
      [...this.known.values()].flatMap(({ sandbox }) => (sandbox.namespaces.length > 0 ? sandbox.addresses : [])),
    );
    for (const pod of this.wanted.keys())
      if (!here.has(pod))
        problems.set(pod, 'no pod with a network of its own has this address: it cannot answer directly');
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
