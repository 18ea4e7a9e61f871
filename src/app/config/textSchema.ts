/** Parts of the configuration that are text with a form of its own, each checked by its parser. */

import { z } from 'zod';
import { formatAddress, parseAddress, parsePrefix } from '../../core/ip.js';

/** Text that `check` takes; its error, a sentence, is the complaint. */
export function text(check: (value: string) => { readonly ok: boolean; readonly error?: string }): z.ZodString {
  return z.string().superRefine((value, context) => {
    const result = check(value);
    if (!result.ok) context.addIssue({ code: 'custom', message: result.error ?? 'not valid' });
  });
}

export const address = text(parseAddress);
export const prefix = text(parsePrefix);

/** Refuses a list in which two have the same; the complaint stands at the later one. */
export function distinct<T>(
  key: string,
  keyOf: (item: T) => string,
): (items: readonly T[], context: z.core.$RefinementCtx) => void {
  return (items, context) => {
    const first = new Map<string, number>();
    for (const [i, item] of items.entries()) {
      const earlier = first.get(keyOf(item));
      if (earlier === undefined) first.set(keyOf(item), i);
      else context.addIssue({ code: 'custom', path: [i, key], message: `is the ${key} of the ${nth(earlier)} too` });
    }
  };
}

/** One text for each address, however it is written. */
export function plainAddress(text: string): string {
  const parsed = parseAddress(text);
  return parsed.ok ? formatAddress(parsed.value) : text;
}

function nth(index: number): string {
  return ['first', 'second', 'third'][index] ?? `${index + 1}th`;
}
