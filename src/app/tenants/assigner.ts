/** Gives namespaces their numbers, for as long as it is on this agent to do so: first ones side by side, changes one after another. Impure. */

import type { Clock, TimerHandle } from '../../core/clock.js';
import { ApiError } from '../../kube/client/apiConnection.js';
import type { ApiWriter } from '../../kube/client/apiWriter.js';
import type { Problem, ProblemReport } from '../../kube/problems.js';
import { decideTenant, type TenantTask } from '../../policy/tenants/assignment.js';
import type { TenantRules } from '../../policy/tenants/resolveTenants.js';
import type { TenantNumber } from '../../policy/tenants/tenantNumber.js';
import { readNamespace, writeNumber } from './namespaceObject.js';
import type { TakeNumbers } from './numberStore.js';

export interface AssignerOptions {
  readonly writer: ApiWriter;
  readonly take: TakeNumbers;
  /** Asked before every write. */
  readonly mayAct: () => boolean;
  readonly rules: () => TenantRules;
  readonly clock: Clock;
  readonly report: (problems: ProblemReport) => void;
  readonly assigned: (namespace: string, number: TenantNumber) => void;
}

export interface Assigner {
  /** @param tasks all that are due, as far as is known */
  want(tasks: readonly TenantTask[]): void;
  /** It is on us from now on, or not any more. */
  lead(isLeading: boolean): void;
  stop(): void;
}

/** Requests under way at a time. */
const WIDTH = 8;
/** Milliseconds after which what is still due is looked at again: a watch lags behind what a request sees. */
const AGAIN = 1000;
const LONGEST = 30_000;
const CONFLICT = 409;
const NOT_FOUND = 404;
const OWNER = 'tenant numbers';

export function createAssigner(options: AssignerOptions): Assigner {
  return new Worker(options);
}

class Worker implements Assigner {
  private tasks: readonly TenantTask[] = [];
  private isLeading = false;
  private running = false;
  /** Something new was wanted since the pass began. */
  private isStale = false;
  private failures = 0;
  private timer: TimerHandle | undefined;

  constructor(private readonly options: AssignerOptions) {}

  want(tasks: readonly TenantTask[]): void {
    const isNews = tasks.some(
      ({ namespace, kind }) => !this.tasks.some(old => old.namespace === namespace && old.kind === kind),
    );
    this.tasks = tasks;
    if (isNews) this.wake(0);
    else if (tasks.length === 0) this.tell([]);
  }

  lead(isLeading: boolean): void {
    this.isLeading = isLeading;
    if (isLeading) this.wake(0);
    else this.tell([]);
  }

  stop(): void {
    this.isLeading = false;
    this.timer?.cancel();
  }

  private wake(delay: number): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (!this.isLeading) return;
    if (this.running) {
      this.isStale ||= delay === 0;
      return;
    }
    this.timer = this.options.clock.setTimeout(() => void this.pass(), delay);
  }

  private async pass(): Promise<void> {
    this.running = true;
    this.isStale = false;
    const problems = this.tasks.length === 0 ? [] : await this.work();
    this.running = false;
    if (this.isLeading) this.tell(problems);
    this.failures = problems.length === 0 ? 0 : this.failures + 1;
    if (this.takeStale()) this.wake(0);
    else if (this.tasks.length > 0) this.wake(Math.min(LONGEST, AGAIN * 2 ** this.failures));
  }

  private takeStale(): boolean {
    const { isStale } = this;
    this.isStale = false;
    return isStale;
  }

  /** @returns what hinders it */
  private async work(): Promise<readonly Problem[]> {
    const { take } = this.options;
    try {
      const firsts = this.tasks.filter(({ kind }) => kind === 'first');
      const others = this.tasks.filter(({ kind }) => kind === 'change');
      const numbers = firsts.length === 0 ? [] : [...(await take(firsts.length))];
      const problems: Problem[] = [];
      const lanes = Array.from({ length: Math.min(WIDTH, firsts.length) }, async () => {
        for (let task = firsts.shift(); task !== undefined; task = firsts.shift())
          problems.push(...(await this.attempt(task, () => Promise.resolve(numbers.pop()))));
      });
      await Promise.all(lanes);
      for (const task of others) problems.push(...(await this.attempt(task, async () => (await take(1))[0])));
      return problems;
    } catch (error) {
      return [{ subject: 'tenants', text: `no numbers can be given out: ${textOf(error)}; it is tried again` }];
    }
  }

  private async attempt(task: TenantTask, fresh: () => Promise<TenantNumber | undefined>): Promise<readonly Problem[]> {
    const { namespace } = task;
    const problem = (text: string): readonly Problem[] => [{ subject: `Namespace ${namespace}`, text }];
    try {
      const refused = await this.assign(task, fresh);
      return refused === undefined ? [] : problem(refused);
    } catch (error) {
      const status = error instanceof ApiError ? error.status : undefined;
      // Somebody else changed it in between, or it is gone: the watch will say so.
      if (status === CONFLICT || status === NOT_FOUND) return [];
      return problem(`its tenant number cannot be written: ${textOf(error)}; it is tried again`);
    }
  }

  /** @returns why it is not to be */
  private async assign(
    { namespace }: TenantTask,
    fresh: () => Promise<TenantNumber | undefined>,
  ): Promise<string | undefined> {
    const { writer, mayAct, rules, assigned } = this.options;
    const live = await readNamespace(writer, namespace);
    if (live === undefined || !mayAct()) return undefined;
    const { change } = live.spec;
    const other = change?.kind === 'join' ? await readNamespace(writer, change.namespace) : undefined;
    const decision = decideTenant(namespace, live.spec, other?.spec, rules());
    if (decision.kind === 'refused') return decision.text;
    if (decision.kind === 'nothing' || decision.kind === 'later') return undefined;
    const number = decision.kind === 'number' ? decision.number : await fresh();
    // The answers may have taken their time.
    if (number === undefined || !mayAct()) return undefined;
    await writeNumber(writer, namespace, number, live.version);
    assigned(namespace, number);
    return undefined;
  }

  private tell(problems: readonly Problem[]): void {
    this.options.report(new Map([[OWNER, problems]]));
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
