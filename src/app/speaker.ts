/** `peerage speaker`: the BGP engine alone, on a configuration file that is watched. */

import { formatConfigErrors } from './config/configError.js';
import { loadConfig, type LoadedConfig } from './config/configFile.js';
import { watchFiles } from './config/watchFiles.js';
import { DEFAULT_CONTROL_PATH } from '../api/controlPath.js';
import { createLogger, type LogFormat } from './logging.js';
import { endOnBug, runUntilSignal } from './process.js';
import { startRouter, type RunningRouter } from './router.js';
import type { Logger } from 'pino';
import type { ApplyReport } from '../engine/engineTypes.js';

export interface SpeakerOptions {
  readonly config: string;
  /** Overrides the configuration. */
  readonly control?: string;
  readonly logLevel?: string;
  readonly logFormat?: LogFormat;
  /** End with Cease and remove kernel routes even when graceful restart is configured. */
  readonly withdrawOnExit: boolean;
}

/** Runs until a signal ends it. @returns the exit code */
export async function runSpeaker(options: SpeakerOptions): Promise<number> {
  const first = loadConfig(options.config, false);
  if (!first.ok) {
    process.stderr.write(`${formatConfigErrors(first.error)}\n`);
    return 1;
  }
  const { config } = first.value;
  const logger = createLogger(options.logLevel ?? config.log.level, options.logFormat);
  endOnBug(logger);
  const router = await startRouter({
    fib: config.fib,
    controlPath: options.control ?? config.control ?? DEFAULT_CONTROL_PATH,
    logger,
    ownThread: false,
    rib: config.rib,
  });
  const reloader = new Reloader(options.config, router, logger);
  // Read again: only now is it known whether routes of a former process are in the kernel.
  const isGood = await reloader.reload();
  if (isGood) await runUntilSignal({ logger, reload: () => void reloader.reload() });
  await reloader.close();
  const keepRoutes = !isGood || (reloader.gracefulRestart && !options.withdrawOnExit);
  await router.stop({ keepRoutes });
  if (!isGood) return 1;
  logger.info({ keepRoutes }, 'stopped');
  return 0;
}

/** Applies the file again whenever it, or a key file it names, changes. A file with mistakes changes nothing. */
class Reloader {
  gracefulRestart = false;
  private current: LoadedConfig | undefined;
  private complaints = '';
  private endWatch: (() => Promise<void>) | undefined;

  constructor(
    private readonly file: string,
    private readonly router: RunningRouter,
    private readonly logger: Logger,
  ) {}

  /**
   * @param isAsked by a person, who wants to hear of mistakes again
   * @returns false when the file has mistakes
   */
  async reload(isAsked = true): Promise<boolean> {
    const loaded = loadConfig(this.file, this.router.restarted);
    if (!loaded.ok) {
      this.complain(
        loaded.error.map(error => error.message),
        isAsked,
      );
      return false;
    }
    this.complaints = '';
    const { config, engine, files, states } = loaded.value;
    for (const part of ['fib', 'rib'] as const) {
      if (this.current !== undefined && JSON.stringify(this.current.config[part]) !== JSON.stringify(config[part]))
        this.logger.warn(`a change of ${part} takes effect after a restart`);
    }
    const applied = this.router.apply(engine);
    const text = this.current === undefined ? 'configuration applied' : 'configuration reloaded';
    this.gracefulRestart = engine.gracefulRestart !== undefined;
    if (this.current?.files.join() !== files.join()) {
      void this.endWatch?.();
      this.endWatch = watchFiles(files, () => this.reload(false), states);
    }
    this.current = loaded.value;
    this.logger.info(reportFields(await applied), text);
    return true;
  }

  /** The same mistakes are told once. */
  private complain(errors: readonly string[], isAsked: boolean): void {
    const level = !isAsked && this.complaints === errors.join() ? 'debug' : 'error';
    this.complaints = errors.join();
    this.logger[level]({ errors }, 'configuration has mistakes; the former one stays in force');
  }

  async close(): Promise<void> {
    await this.endWatch?.();
  }
}

/** The parts of a report that say something. */
export function reportFields(report: ApplyReport): Partial<ApplyReport> {
  return Object.fromEntries(
    Object.entries(report).filter(([, value]) => (Array.isArray(value) ? value.length > 0 : value !== 0)),
  );
}
