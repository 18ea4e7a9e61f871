/** A configuration file: loading it, and watching it and the key files it names. Impure. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { watch } from 'chokidar';
import type { z } from 'zod';
import { err, ok, type Result } from '../../core/result.js';
import type { EngineConfig } from '../../engine/engineTypes.js';
import { ConfigError } from './configError.js';
import { toEngineConfig } from './engineConfig.js';
import { parseConfig, type Locate } from './parseConfig.js';
import { SpeakerConfig } from './schema.js';
import { fileErrorText } from './secrets.js';

export interface LoadedConfig {
  readonly config: SpeakerConfig;
  readonly engine: EngineConfig;
  /** The file and every key file it names. */
  readonly files: readonly string[];
}

/** Milliseconds of quiet after the last change before a file is read again: editors write in steps. */
const SETTLE = 100;
/** Milliseconds between looks at the files. */
const LOOK_INTERVAL = 250;

/** Reads the shape only. @returns errors with file, line and path */
export function readConfig<T>(
  file: string,
  schema: z.ZodType<T>,
): Result<{ readonly value: T; readonly locate: Locate }, ConfigError[]> {
  let source: string;
  try {
    source = readFileSync(file, 'utf8');
  } catch (error) {
    return err([new ConfigError('', `cannot be read: ${fileErrorText(error)}`, file)]);
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

/**
 * Calls back when the contents of one of the files have changed and then been left alone for a moment.
 *
 * Folders are looked at, not files, because editors replace files; and they are polled, because a mounted ConfigMap or
 * Secret changes by a symbolic link on the way, of which the system tells nothing.
 * @returns a function that ends the watch
 */
export function watchFiles(files: readonly string[], changed: () => void): () => Promise<void> {
  const paths = files.map(file => resolve(file));
  const watched = new Set([...paths, ...paths.map(dirname)]);
  const watcher = watch([...new Set(paths.map(dirname))], {
    ignoreInitial: true,
    depth: 0,
    usePolling: true,
    interval: LOOK_INTERVAL,
    ignored: path => !watched.has(path),
  });
  let known = contentsOf(paths);
  const compare = (): void => {
    const now = contentsOf(paths);
    if (now === known) return;
    known = now;
    changed();
  };
  let timer: NodeJS.Timeout | undefined;
  watcher.on('all', () => {
    clearTimeout(timer);
    timer = setTimeout(compare, SETTLE);
  });
  return async () => {
    clearTimeout(timer);
    await watcher.close();
  };
}

/** Tells one state of the files from another; one that cannot be read counts as absent. */
function contentsOf(paths: readonly string[]): string {
  const hash = createHash('sha256');
  for (const path of paths) {
    try {
      hash.update('present').update(readFileSync(path));
    } catch {
      hash.update('absent');
    }
  }
  return hash.digest('hex');
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
