/** What is wrong in a configuration file, and where. */

/** A place in a file: 1-based line and column. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One mistake. `path` is as people write it: `peers[2].holdTime`; empty for the whole file. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(
    readonly path: string,
    readonly reason: string,
    readonly file?: string,
    readonly position?: Position,
  ) {
    super(describe(path, reason, file, position));
  }
}

/** Takes a mistake: its path, and what is wrong there. */
export type Complain = (path: string, reason: string) => void;

/** All mistakes of a file as one readable block. */
export function formatConfigErrors(errors: readonly ConfigError[]): string {
  return errors.map(error => error.message).join('\n');
}

/** `peers[2].holdTime` from the keys that lead there. */
export function pathText(keys: readonly PropertyKey[]): string {
  return keys.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`)).join('');
}

function describe(path: string, reason: string, file: string | undefined, position: Position | undefined): string {
  const where = [file, position === undefined ? undefined : `${position.line}:${position.column}`];
  return [where.filter(part => part !== undefined).join(':'), path, reason].filter(part => part !== '').join(': ');
}
