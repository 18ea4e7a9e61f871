/** The agent's configuration file, followed while the agent runs. Impure: it watches files. */

import type { ProblemReport } from '../kube/problems.js';
import { watchFiles } from './config/watchFiles.js';
import type { GivenFlags } from './flags/flag.js';
import { loadAgentConfig, type LoadedAgentConfig } from './kubeConfigFile.js';

/** Reads the configuration again when it changes. One with mistakes changes nothing, and is a problem until it is mended. */
export function watchConfig(
  { config: file, flags }: { readonly config?: string; readonly flags?: GivenFlags },
  first: LoadedAgentConfig,
  report: (found: ProblemReport) => void,
  apply: (next: LoadedAgentConfig) => void,
): { readonly reload: () => void; readonly close: () => Promise<void> } {
  let { files } = first;
  /** @returns whether it is in force */
  const reload = (): boolean => {
    const loaded = loadAgentConfig(file, flags);
    const errors = loaded.ok ? [] : loaded.error;
    report(new Map([['configuration file', errors.map(error => ({ subject: 'configuration', text: error.message }))]]));
    if (!loaded.ok) return false;
    if (loaded.value.files.join() !== files.join()) {
      ({ files } = loaded.value);
      void endWatch();
      endWatch = watchFiles(files, reload, loaded.value.states);
    }
    apply(loaded.value);
    return true;
  };
  let endWatch = watchFiles(files, reload, first.states);
  return { reload, close: () => endWatch() };
}
