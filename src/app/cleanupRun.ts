/** `peerage cleanup` and `--cleanup-config`: takes what is ours off this machine, when no router runs on it. Impure. */

import { dirname } from 'node:path';
import { createControlClient, RouterUnreachable } from '../api/client.js';
import { DEFAULT_CONTROL_PATH } from '../api/controlPath.js';
import { runtimeAt } from '../proxy/dsr/lazyRuntime.js';
import { formatConfigErrors } from './config/configError.js';
import type { GivenFlags } from './flags/flag.js';
import type { AgentConfig } from './kubeConfig.js';
import { loadAgentConfig } from './kubeConfigFile.js';
import { plumbingOptions } from './kubeOptions.js';
import { cleanUpMachine } from './plumbing/openPlumbing.js';
import { proxySettings } from './proxy/proxyOptions.js';
import { routeOwner } from './router.js';

export interface CleanupOptions {
  /** Configuration file of the agent that ran here; everything has a default. */
  readonly config?: string;
  /** Flags the agent was run with. */
  readonly flags?: GivenFlags;
  /** Overrides the configuration. */
  readonly control?: string;
}

/** @returns the exit code */
export async function runCleanup({ config, flags, control }: CleanupOptions): Promise<number> {
  const loaded = loadAgentConfig(config, flags);
  if (!loaded.ok) {
    process.stderr.write(`${formatConfigErrors(loaded.error)}\n`);
    return 1;
  }
  return cleanUpNode(loaded.value.settings, control);
}

/** The same with a configuration that has been read. @returns the exit code: 1 when something of ours had to be left */
export async function cleanUpNode(settings: AgentConfig, control?: string): Promise<number> {
  const controlPath = control ?? settings.control ?? DEFAULT_CONTROL_PATH;
  if (await answers(controlPath)) {
    process.stderr.write(`peerage: a router answers on ${controlPath}: it would put everything back; end it first\n`);
    return 1;
  }
  const options = plumbingOptions(settings, process.env['KUBE_ROUTER_CNI_CONF_FILE']);
  const { excludedCidrs: excluded, runtimeEndpoint } = proxySettings(settings.kubernetes, undefined, []).ipvs;
  const { done, left } = await cleanUpMachine(
    { ...options, stateDirectory: dirname(controlPath) },
    routeOwner(settings.fib),
    {
      excluded,
      openRuntime: runtimeAt(runtimeEndpoint),
    },
  );
  process.stdout.write(done.map(line => `${line}\n`).join(''));
  process.stderr.write(left.map(line => `left: ${line}\n`).join(''));
  return left.length === 0 ? 0 : 1;
}

async function answers(controlPath: string): Promise<boolean> {
  try {
    await createControlClient(controlPath).get('/v1/summary');
    return true;
  } catch (error) {
    // Whoever refuses is there.
    return !(error instanceof RouterUnreachable);
  }
}
