/** A configuration file: loading it, and watching it and the key files it names. Impure. */

import { readFileSync } from 'node:fs';
import { watch } from 'chokidar';
import type { z } from 'zod';
import { err, ok, type Result } from '../../core/result.js';
import type { EngineConfig } from '../../engine/engineTypes.js';
import { ConfigError } from './configError.js';
import { toEngineConfig } from './engineConfig.js';
import { parseConfig, type Locate } from './parseConfig.js';
import { SpeakerConfig } from './schema.js';

export interface LoadedConfig {
  readonly config: SpeakerConfig;
  readonly engine: EngineConfig;
  /** The file and every key file it names. */
  readonly files: readonly string[];
}

/** Milliseconds of quiet after the last change before a file is read again: editors write in steps. */
const SETTLE = 100;

/** Reads the shape only. @returns errors with file, line and path */
export function readConfig<T>(
  file: string,
  schema: z.ZodType<T>,
): Result<{ readonly value: T; readonly locate: Locate }, ConfigError[]> {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    return err([
      new ConfigError('', `cannot be read: ${error instanceof Error ? error.message : String(error)}`, file),
    ]);
  }
  return parseConfig(source, file, schema);
}

/** Reads, checks and completes the configuration of a speaker. */
export function loadConfig(file: string, restarted: boolean): Result<LoadedConfig, ConfigError[]> {
  const read = readConfig(file, SpeakerConfig);
  if (!read.ok) return read;
  const { value: config, locate } = read.value;
  const engine = toEngineConfig(config, restarted);
  if (!engine.ok) return err(engine.error.map(error => located(error, file, locate)));
  return ok({ config, engine: engine.value, files: [file, ...keyFiles(config)] });
}

/** Calls back when one of the files may have changed. @returns a function that ends the watch */
export function watchFiles(files: readonly string[], changed: () => void): () => Promise<void> {
  const watcher = watch([...files], {
    ignoreInitial: true,
    awaitWriteFinish: { stabilityThreshold: SETTLE, pollInterval: 20 },
  });
  let timer: NodeJS.Timeout | undefined;
  watcher.on('all', () => {
    clearTimeout(timer);
    timer = setTimeout(changed, SETTLE);
  });
  return async () => {
    clearTimeout(timer);
    await watcher.close();
  };
}

/** An error of the second stage knows its path; this finds the line. */
export function located(error: ConfigError, file: string, locate: Locate): ConfigError {
  return new ConfigError(error.path, error.reason, file, locate(keysOf(error.path)));
}

function keysOf(path: string): (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|[^.[\]]+/g)].map(match => (match[1] === undefined ? match[0] : Number(match[1])));
}

function keyFiles(config: SpeakerConfig): string[] {
  const sources = [...config.peers, ...Object.values(config.peerGroups)].map(values => values.password);
  return sources.flatMap(source => (source !== undefined && 'file' in source ? [source.file] : []));
}
