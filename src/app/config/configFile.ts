/** A configuration file: reading it, and completing it with the key files it names. Impure. */

import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { err, ok, type Result } from '../../core/result.js';
import type { EngineConfig } from '../../engine/engineTypes.js';
import { ConfigError } from './configError.js';
import { toEngineConfig } from './engineConfig.js';
import { parseConfig, type Locate } from './parseConfig.js';
import { SpeakerConfig } from './schema.js';
import { fileErrorText } from './secrets.js';
import { statesOf, type FileStates } from './watchFiles.js';

export interface LoadedConfig {
  readonly config: SpeakerConfig;
  readonly engine: EngineConfig;
  /** The file and every key file it names. */
  readonly files: readonly string[];
  /** As they were when they were read. */
  readonly states: FileStates;
}

/** Reads the shape only. @returns errors with file, line and path */
function readConfig<T>(
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
  if (!read.ok) return err(read.error.map(ofAgent));
  const { value: config, locate } = read.value;
  const engine = toEngineConfig(config, restarted);
  if (!engine.ok) return err(engine.error.map(error => located(error, file, locate)));
  const files = [file, ...keyFiles(config)];
  return ok({ config, engine: engine.value, files, states: statesOf(files) });
}

/** The section that an agent's configuration has besides is no slip of the pen. */
function ofAgent(error: ConfigError): ConfigError {
  if (error.path !== 'kubernetes') return error;
  const reason = 'is for peerage agent, not for peerage speaker (peerage check --agent)';
  return new ConfigError(error.path, reason, error.file, error.position);
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
