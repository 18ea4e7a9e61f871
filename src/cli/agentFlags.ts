/** kube-router's flags on the command line of `peerage agent`: registered from their table, gathered as they were written. */

import { Option, type Command } from 'commander';
import type { Flag } from '../app/flags/flag.js';
import { FLAGS } from '../app/flags/flagTable.js';

/** What was given, by flag without dashes, once for each time. */
export type FlagTexts = ReadonlyMap<string, readonly string[]>;

/** @returns what will have been given, once the command line is parsed */
export function addAgentFlags(command: Command): FlagTexts {
  const texts = new Map<string, string[]>();
  for (const flag of FLAGS) {
    command.addOption(optionOf(flag));
    // A switch without a value is one that is on.
    command.on(`option:${flag.name}`, (text?: string | null) => {
      texts.set(flag.name, [...(texts.get(flag.name) ?? []), text ?? 'true']);
    });
  }
  return texts;
}

function optionOf(flag: Flag): Option {
  const { name, short, placeholder, meaning, group, ownDefault, upstreamDefault } = flag;
  const names = `${short === undefined ? '' : `-${short}, `}--${name}`;
  const isSwitch = placeholder === '';
  const value = ownDefault ?? upstreamDefault;
  const text = `${meaning}${value === '' || value === '–' ? '' : ` (default: ${value})`}`;
  return new Option(`${names} ${isSwitch ? '[bool]' : `<${bare(placeholder)}>`}`, text).helpGroup(`${group}:`);
}

function bare(placeholder: string): string {
  return placeholder.replace(/^<|>$/g, '');
}
