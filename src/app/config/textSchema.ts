/** Parts of the configuration that are text with a form of its own, each checked by its parser. */

import { z } from 'zod';
import { parseAddress, parsePrefix } from '../../core/ip.js';

/** Text that `check` takes; its error, a sentence, is the complaint. */
export function text(check: (value: string) => { readonly ok: boolean; readonly error?: string }): z.ZodString {
  return z.string().superRefine((value, context) => {
    const result = check(value);
    if (!result.ok) context.addIssue({ code: 'custom', message: result.error ?? 'not valid' });
  });
}

export const address = text(parseAddress);
export const prefix = text(parsePrefix);
