/** The agent's configuration from its file and the command line's flags, or without either. Impure. */

import { readFileSync } from 'node:fs';
import { ipv4 } from '../core/ip.js';
import { err, ok, type Result } from '../core/result.js';
import { ConfigError } from './config/configError.js';
import { located } from './config/configFile.js';
import { toEngineConfig } from './config/engineConfig.js';
import { withKubeProxyFile } from './config/kubeProxyFile.js';
import { parseConfig, type Locate } from './config/parseConfig.js';
import { fileErrorText, readPassword } from './config/secrets.js';
import { statesOf, type FileStates } from './config/watchFiles.js';
import { applyFlags, flagBehind } from './flags/applyFlags.js';
import type { GivenFlags } from './flags/flag.js';
import { valueAt } from './flags/settings.js';
import { AgentConfig, meshPath, onNode } from './kubeConfig.js';
import { withoutRouter } from './withoutRouter.js';

export interface LoadedAgentConfig {
  readonly settings: AgentConfig;
  /** The file and every key file it or a flag names. */
  readonly files: readonly string[];
  /** As they were when they were read. */
  readonly states: FileStates;
  /** File and flags before defaults came in, in the shape of the file. Has keys. */
  readonly said: unknown;
}

/** Stands in for the node where only the file is checked (RFC 5737: nobody's address). */
const SOME_NODE = { name: 'some-node', present: true, v4: ipv4(0xc000_0201), v6: undefined };
const NO_FLAGS: GivenFlags = new Map();
const KUBE_PROXY_FILE = 'kubernetes.proxy.kubeProxyConfig';

/**
 * @param file undefined: flags and defaults
 * @param flags go before what the file says
 * @returns every mistake, also those that show only when the configuration is completed
 */
export function loadAgentConfig(
  file: string | undefined,
  flags: GivenFlags = NO_FLAGS,
): Result<LoadedAgentConfig, readonly ConfigError[]> {
  // Before the reading: what changes from here on is told.
  const state = file === undefined ? [] : statesOf([file]);
  const source = file === undefined ? ok('') : readText(file);
  if (!source.ok) return err([new ConfigError('', source.error, file)]);
  const between: ConfigError[] = [];
  let said: unknown;
  const read = parseConfig(source.value, file ?? '', AgentConfig, ofFile => {
    const applied = applyFlags(ofFile, flags, readText);
    if (!applied.ok) between.push(...applied.error);
    said = applied.ok ? applied.value : ofFile;
    const completed = withKubeProxy(said);
    if (!completed.ok) between.push(completed.error);
    return completed.ok ? completed.value : said;
  });
  const blame = (error: ConfigError, locate?: Locate): ConfigError => blamed(error, flags, file, locate);
  const errors = [
    ...between.map(error => blame(error, read.ok ? read.value.locate : undefined)),
    ...(read.ok ? [] : read.error.map(error => blame(error))),
  ];
  if (!read.ok || errors.length > 0) return err(errors);
  const { value, locate } = read.value;
  const keyed = withKeys(value);
  if (!keyed.ok) return err(keyed.error.map(error => blame(error, locate)));
  const settings = withoutRouter(keyed.value);
  const completed = toEngineConfig(onNode(settings, SOME_NODE), false);
  if (!completed.ok)
    return err(
      completed.error.map(error => blame(new ConfigError(meshPath(error.path, settings), error.reason), locate)),
    );
  const others = keyFiles(value, flags);
  const files = [...(file === undefined ? [] : [file]), ...others];
  return ok({ settings, said, files, states: [...state, ...statesOf(others)] });
}

/** What kube-proxy's file says, where our own and the flags say nothing. */
function withKubeProxy(settings: unknown): Result<unknown, ConfigError> {
  const file = valueAt(settings, KUBE_PROXY_FILE);
  if (typeof file !== 'string' || file === '') return ok(settings);
  const content = readText(file);
  const completed = content.ok ? withKubeProxyFile(settings, content.value) : content;
  return completed.ok ? completed : err(new ConfigError(KUBE_PROXY_FILE, `${file} ${completed.error}`));
}

/** A mistake belongs to the flag that made it, or to its line in the file. */
function blamed(error: ConfigError, flags: GivenFlags, file: string | undefined, locate?: Locate): ConfigError {
  const flag = flagBehind(error.path, flags);
  if (flag !== undefined) return new ConfigError(`--${flag}`, error.reason);
  if (file === undefined) return new ConfigError(error.path, error.reason);
  return locate === undefined ? error : located(error, file, locate);
}

/** Routing is pure and wants the keys of external peers themselves, wherever they stand. */
function withKeys(settings: AgentConfig): Result<AgentConfig, readonly ConfigError[]> {
  const errors: ConfigError[] = [];
  const externalPeers = settings.kubernetes.externalPeers.map((peer, i) => {
    if (peer.password === undefined) return peer;
    const key = readPassword(peer.password);
    if (key.ok) return { ...peer, password: { value: key.value } };
    errors.push(new ConfigError(`kubernetes.externalPeers[${i}].password`, key.error));
    return peer;
  });
  if (errors.length > 0) return err(errors);
  return ok({ ...settings, kubernetes: { ...settings.kubernetes, externalPeers } });
}

function keyFiles({ peers, peerGroups, kubernetes }: AgentConfig, flags: GivenFlags): readonly string[] {
  const { meshPeer, externalPeer, externalPeers } = kubernetes;
  const sources = [...peers, ...Object.values(peerGroups), meshPeer, externalPeer, ...externalPeers].map(
    values => values.password,
  );
  const ofFlags = flags.get('peer-router-passwords-file')?.value;
  const { kubeProxyConfig } = kubernetes.proxy;
  return [
    ...sources.flatMap(source => (source !== undefined && 'file' in source ? [source.file] : [])),
    ...(typeof ofFlags === 'string' && ofFlags !== '' ? [ofFlags] : []),
    ...(kubeProxyConfig === undefined ? [] : [kubeProxyConfig]),
  ];
}

function readText(file: string): Result<string, string> {
  try {
    return ok(readFileSync(file, 'utf8'));
  } catch (error) {
    return err(`cannot be read: ${fileErrorText(error)}`);
  }
}
