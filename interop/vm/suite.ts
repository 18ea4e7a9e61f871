/** What a suite for the guest is: a name, and steps that are taken in order, some of them checks that are counted. */

export interface VmSuite {
  /** Also its entry in {@link SUITES}. Short: it begins the names of its tests. */
  readonly name: string;
  /** Seconds in the guest after which it is ended: several times what it takes. */
  readonly limit: number;
  readonly steps: readonly VmStep[];
}

export interface VmStep {
  /** `check`: one test; `prepare` and `cleanup` are no tests, but when they fail, what depends on them does. */
  readonly kind: 'prepare' | 'check' | 'cleanup';
  /** Unique among the checks of the suite. */
  readonly name: string;
  /** Throws, or rejects, when it fails. */
  readonly run: () => Promise<void> | void;
}

/** How a check went, or why there was none. */
export interface VmResult {
  readonly suite: string;
  readonly check: string;
  /** Undefined: it passed. */
  readonly error?: string | undefined;
  /** In the guest. */
  readonly milliseconds: number;
}

export interface SuiteBuilder {
  readonly check: (name: string, run: VmStep['run']) => void;
  /** What the checks after it stand on: when it fails, they fail with its error, until the next `prepare`. */
  readonly prepare: (name: string, run: VmStep['run']) => void;
  /** Is taken whatever happened before; its own failure fails the checks after it. */
  readonly cleanup: (name: string, run: VmStep['run']) => void;
}

/** @throws Error when two checks have one name */
export function vmSuite(name: string, limit: number, build: (suite: SuiteBuilder) => void): VmSuite {
  const steps: VmStep[] = [];
  const add =
    (kind: VmStep['kind']) =>
    (step: string, run: VmStep['run']): void => {
      if (kind === 'check' && steps.some(other => other.kind === 'check' && other.name === step))
        throw new Error(`suite ${name} has two checks named '${step}'`);
      steps.push({ kind, name: step, run });
    };
  build({ check: add('check'), prepare: add('prepare'), cleanup: add('cleanup') });
  return { name, limit, steps };
}

/** Takes the steps in order, and goes on after a failure. @param tell is told of every check @param log of all else */
export async function runSteps(
  { name: suite, steps }: VmSuite,
  tell: (result: VmResult) => void,
  log: (line: string) => void = () => undefined,
): Promise<void> {
  let broken: string | undefined;
  for (const step of steps) {
    if (step.kind === 'prepare') broken = undefined;
    const begun = Date.now();
    const error = step.kind === 'check' && broken !== undefined ? broken : await outcome(step);
    if (step.kind === 'check') {
      tell({ suite, check: step.name, error, milliseconds: Date.now() - begun });
      continue;
    }
    log(
      `${step.kind}: ${step.name} (${((Date.now() - begun) / 1000).toFixed(1)} s)${error === undefined ? '' : ` ${error}`}`,
    );
    if (error !== undefined) broken = `'${step.name}' failed before it: ${error}`;
  }
  if (broken !== undefined) tell({ suite, check: 'its last step', error: broken, milliseconds: 0 });
}

async function outcome({ run }: VmStep): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
