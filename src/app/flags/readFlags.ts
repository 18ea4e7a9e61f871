/** From a command line's texts to checked values. Pure. */

import { err, ok, type Result } from '../../core/result.js';
import { ConfigError } from '../config/configError.js';
import type { Flag, GivenFlag, GivenFlags } from './flag.js';
import { FLAGS } from './flagTable.js';

/**
 * @param texts what was given, by flag, once for each time
 * @returns every mistake, with flag and text; a key never stands in one
 */
export function readFlags(texts: ReadonlyMap<string, readonly string[]>): Result<GivenFlags, readonly ConfigError[]> {
  const given = new Map<string, GivenFlag>();
  const errors: ConfigError[] = [];
  for (const flag of FLAGS) {
    const own = texts.get(flag.name);
    if (own === undefined) continue;
    const result = flag.read(own);
    if (result.ok) given.set(flag.name, result.value);
    else errors.push(new ConfigError(described(flag, own), result.error));
  }
  return errors.length > 0 ? err(errors) : ok(given);
}

function described({ name, isSecret }: Flag, texts: readonly string[]): string {
  return isSecret ? `--${name}` : `--${name} ${texts.map(text => (text === '' ? '""' : text)).join(' ')}`;
}

/** What to tell at start of flags that were given and do something else than in kube-router, or nothing. */
export function notices(given: GivenFlags): readonly string[] {
  return FLAGS.flatMap(({ name, note }) => (note !== undefined && given.has(name) ? [`--${name} ${note}`] : []));
}
