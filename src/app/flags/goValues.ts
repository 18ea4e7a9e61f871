/** Flag values as Go's pflag library reads them, so that a command line written for kube-router means the same here. Pure. */

import { err, ok, type Result } from '../../core/result.js';

/** What a kind of flag makes of its texts: one for each time the flag was given. */
export interface GoValue<T> {
  /** For the help: `duration`; empty for a switch. */
  readonly placeholder: string;
  /** Given several times, values add up; otherwise the last counts. */
  readonly isList: boolean;
  /** @returns the value, or what is wrong as the end of a sentence that begins with the text */
  read(texts: readonly string[]): Result<T, string>;
}

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** Seconds in each unit of Go's time.ParseDuration. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};
const DURATION = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/;
const DURATION_PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
/** Whole numbers as strconv.ParseUint reads them in base 0. */
const UINT = /^(?:0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/;

export const bool: GoValue<boolean> = one('', text => {
  if (TRUE.has(text)) return ok(true);
  return FALSE.has(text) ? ok(false) : err('is neither true nor false');
});

/** Seconds. */
export const duration: GoValue<number> = one('duration', parseDuration);

export const text: GoValue<string> = one('text', value => ok(value));

/** A whole number of at most so many bits, in any of Go's bases. */
export function uint(bits: 8 | 16 | 32): GoValue<number> {
  return one('number', value => parseUint(value, 2 ** bits - 1));
}

/** A list of whole numbers. */
export const uints: GoValue<readonly number[]> = list('numbers', value => parseUint(value, 2 ** 32 - 1));

/** A list of texts, of which some may be empty: `,second`. */
export const texts: GoValue<readonly string[]> = list('list', value => ok(value));

/** The same kind, with another word for the help. */
export function named<T>(placeholder: string, kind: GoValue<T>): GoValue<T> {
  return { ...kind, placeholder };
}

/** A list of which each part is checked, and stays what it was. @param nameOf how a bad one of several is called */
export function listOf(
  placeholder: string,
  check: (part: string) => Result<unknown, string>,
  nameOf: NameOfPart = quoted,
): GoValue<readonly string[]> {
  const read = (part: string): Result<string, string> => {
    const checked = check(part);
    return checked.ok ? ok(part) : checked;
  };
  return list(placeholder, read, nameOf);
}

type NameOfPart = (part: string, index: number) => string;

/** For lists of keys, which are never shown. */
export function numbered(_part: string, index: number): string {
  return `entry ${index + 1}`;
}

function quoted(part: string): string {
  return `"${part}"`;
}

/** @returns seconds; source: Go's time.ParseDuration */
export function parseDuration(value: string): Result<number, string> {
  if (value === '0') return ok(0);
  if (!DURATION.test(value)) return err('is not a duration, such as 90s, 5m or 1h30m');
  const parts = [...value.matchAll(DURATION_PART)];
  const seconds = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNITS[unit ?? ''] ?? 0), 0);
  return ok(value.startsWith('-') ? -seconds : seconds);
}

/** Seconds as Go writes a duration, with the units that are zero left out: `5m`, `18h12m16s`, `1.5s`. */
export function formatDuration(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = seconds % 60;
  const parts = [hours > 0 ? `${hours}h` : '', minutes > 0 ? `${minutes}m` : '', rest > 0 ? `${rest}s` : ''];
  return parts.join('') || '0s';
}

function parseUint(value: string, max: number): Result<number, string> {
  if (!UINT.test(value)) return err('is not a whole number');
  const plain = value.replaceAll('_', '');
  // Go takes a leading 0 for octal, which Number does not.
  const number = Number(/^0[0-7]+$/.test(plain) ? `0o${plain.slice(1)}` : plain);
  return number <= max ? ok(number) : err(`is more than ${max}`);
}

function one<T>(placeholder: string, read: (text: string) => Result<T, string>): GoValue<T> {
  return { placeholder, isList: false, read: given => read((given.at(-1) ?? '').trim()) };
}

function list<T>(
  placeholder: string,
  read: (part: string) => Result<T, string>,
  nameOf: NameOfPart = quoted,
): GoValue<readonly T[]> {
  return {
    placeholder,
    isList: true,
    read: given => {
      // An empty text is an empty list; between commas, an empty part is a part.
      const parts = given.filter(line => line !== '').flatMap(line => line.split(',').map(part => part.trim()));
      const values: T[] = [];
      for (const [i, part] of parts.entries()) {
        const result = read(part);
        if (!result.ok) return err(parts.length === 1 ? result.error : `${nameOf(part, i)} ${result.error}`);
        values.push(result.value);
      }
      return ok(values);
    },
  };
}
