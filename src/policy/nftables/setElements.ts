/** Elements of this table's sets as text, whatever kind of set they are in, and as they are sent to the kernel. */

import { elementText, verdictOfText } from '../../kernel/nftables/elements.js';
import type { SetShape, WireElement } from '../../kernel/nftables/messages.js';

const [OPENS, CLOSES] = ['[', ')'] as const;

/** The first key of a range, in a set of ranges. */
export function openingKey(octets: string): string {
  return `${octets}${OPENS}`;
}
/** The first key after a range. */
export function closingKey(octets: string): string {
  return `${octets}${CLOSES}`;
}
type Kind = Pick<SetShape, 'ranges' | 'data'>;

/** @param text of the element's value */
export function wireElement({ ranges, data }: Kind, key: string, text: string): WireElement {
  const value = data === undefined ? undefined : data === 'verdict' ? verdictOfText(text) : text;
  if (ranges !== true) return { key, value };
  const octets = key.slice(0, -1);
  return key.endsWith(CLOSES) ? { key: octets, value, closes: true } : { key: octets, value };
}

/** @returns the element's key and its value, as `wireElement` takes them */
export function elementOf(
  { ranges }: Pick<SetShape, 'ranges'>,
  { key, value, closes }: WireElement,
): readonly [key: string, text: string] {
  const text = elementText(value);
  if (ranges !== true) return [key, text];
  return [closes === true ? closingKey(key) : openingKey(key), text];
}
