/** The agent's configuration from its file, or without one. Impure. */

import { ipv4 } from '../core/ip.js';
import { err, ok, type Result } from '../core/result.js';
import { ConfigError } from './config/configError.js';
import { located, readConfig } from './config/configFile.js';
import { toEngineConfig } from './config/engineConfig.js';
import type { Locate } from './config/parseConfig.js';
import { AgentConfig, meshPath, onNode } from './kubeConfig.js';

export interface LoadedAgentConfig {
  readonly settings: AgentConfig;
  /** The file and every key file it names; none without a file. */
  readonly files: readonly string[];
}

/** Stands in for the node where only the file is checked (RFC 5737: nobody's address). */
const SOME_NODE = { name: 'some-node', present: true, v4: ipv4(0xc000_0201), v6: undefined };

/** @param file undefined: the defaults  @returns every mistake, also those that show only when the configuration is completed */
export function loadAgentConfig(file: string | undefined): Result<LoadedAgentConfig, readonly ConfigError[]> {
  if (file === undefined) return ok({ settings: AgentConfig.parse({}), files: [] });
  const read = readConfig(file, AgentConfig);
  if (!read.ok) return read;
  const { value: settings, locate } = read.value;
  const completed = toEngineConfig(onNode(settings, SOME_NODE), false);
  if (!completed.ok) return err(completed.error.map(error => inFile(error, settings, file, locate)));
  return ok({ settings, files: [file, ...keyFiles(settings)] });
}

function inFile(error: ConfigError, settings: AgentConfig, file: string, locate: Locate): ConfigError {
  return located(new ConfigError(meshPath(error.path, settings), error.reason), file, locate);
}

function keyFiles({ peers, peerGroups, kubernetes }: AgentConfig): readonly string[] {
  const sources = [...peers, ...Object.values(peerGroups), kubernetes.meshPeer].map(values => values.password);
  return sources.flatMap(source => (source !== undefined && 'file' in source ? [source.file] : []));
}
