/**
 * Text of AS path expressions: regular expressions whose letters are whole AS numbers.
 *
 * `65000` one number, `64512-65534` one of a range, `[65000 65010-65019]` one of several, `.` any one; after each `*`,
 * `+`, `?`, `{2}`, `{2,}` or `{2,5}`; `( | )` groups and alternatives; `^` and `$` the ends of the path. Without them the
 * expression may stand anywhere. Spaces and `_` separate. `^$` is the empty path.
 */

import { err, ok, type Result } from '../core/result.js';
import type { AsPathExpression, AsPathNode } from './policyTypes.js';

/** Numbers in an expression once its counted repetitions are written out: matching costs that much for each AS. */
const MAX_SIZE = 500;
const MAX_COUNT = 64;
const MAX_ASN = 0xffff_ffff;
/** Parentheses within parentheses. */
const MAX_DEPTH = 20;

/** Reads an expression. The error is a sentence for a person. */
export function parseAsPath(text: string): Result<AsPathExpression, string> {
  try {
    const expression = new Parser(text).expression();
    if (sizeOf(expression.body) > MAX_SIZE) return err(`"${text}" is too long once its repetitions are written out`);
    return ok(expression);
  } catch (error) {
    if (!(error instanceof Misplaced)) throw error;
    return err(`"${text}": ${error.message}`);
  }
}

class Misplaced extends Error {}

class Parser {
  private at = 0;
  private depth = 0;

  constructor(private readonly text: string) {}

  expression(): AsPathExpression {
    const fromStart = this.takes('^');
    const body = this.choice();
    const toEnd = this.takes('$');
    if (this.peek() !== '') this.complain();
    return { fromStart, toEnd, body };
  }

  private choice(): AsPathNode {
    const parts = [this.sequence()];
    while (this.takes('|')) parts.push(this.sequence());
    return parts.length === 1 ? parts[0]! : { kind: 'choice', parts };
  }

  private sequence(): AsPathNode {
    const parts: AsPathNode[] = [];
    while (!['', '|', ')', '$'].includes(this.peek())) parts.push(this.repeated());
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
  }

  private repeated(): AsPathNode {
    const part = this.one();
    const mark = this.peek();
    if (mark === '*' || mark === '+' || mark === '?') {
      this.at++;
      return { kind: 'repeat', part, min: mark === '+' ? 1 : 0, max: mark === '?' ? 1 : null };
    }
    return this.takes('{') ? { kind: 'repeat', part, ...this.counts() } : part;
  }

  private one(): AsPathNode {
    if (this.takes('.')) return { kind: 'asn', low: 0, high: MAX_ASN };
    if (this.takes('(')) {
      if (++this.depth > MAX_DEPTH) throw new Misplaced(`more than ${MAX_DEPTH} parentheses within each other`);
      const inner = this.choice();
      this.depth--;
      this.expect(')');
      return inner;
    }
    if (!this.takes('[')) return this.range();
    const parts: AsPathNode[] = [];
    while (!this.takes(']')) parts.push(this.range());
    if (parts.length === 0) throw new Misplaced('nothing stands between [ and ]');
    return { kind: 'choice', parts };
  }

  private range(): AsPathNode {
    const low = this.number(MAX_ASN);
    const high = this.takes('-') ? this.number(MAX_ASN) : low;
    if (low > high) throw new Misplaced(`the range ${low}-${high} is empty`);
    return { kind: 'asn', low, high };
  }

  private counts(): { readonly min: number; readonly max: number | null } {
    const min = this.number(MAX_COUNT);
    if (this.takes('}')) return { min, max: min };
    this.expect(',');
    if (this.takes('}')) return { min, max: null };
    const max = this.number(MAX_COUNT);
    this.expect('}');
    if (min > max) throw new Misplaced(`{${min},${max}} is empty`);
    return { min, max };
  }

  private number(max: number): number {
    this.peek();
    const digits = /^\d{1,10}/.exec(this.text.slice(this.at))?.[0];
    if (digits === undefined) return this.complain();
    if (Number(digits) > max) throw new Misplaced(`${digits} is more than ${max}`);
    this.at += digits.length;
    return Number(digits);
  }

  /** The next sign behind separators, '' at the end. */
  private peek(): string {
    while (/^[\s_]/.test(this.text.slice(this.at, this.at + 1))) this.at++;
    return this.text.slice(this.at, this.at + 1);
  }

  private takes(sign: string): boolean {
    if (this.peek() !== sign) return false;
    this.at++;
    return true;
  }

  private expect(sign: string): void {
    if (!this.takes(sign)) this.complain(`"${sign}"`);
  }

  private complain(wanted = 'an AS number'): never {
    const found = this.peek();
    if (found === '') throw new Misplaced(`ends where ${wanted} should stand`);
    throw new Misplaced(`"${found}" at place ${this.at + 1} is not understood there`);
  }
}

/** Single numbers in a node with its counted repetitions written out. */
export function sizeOf(node: AsPathNode): number {
  switch (node.kind) {
    case 'asn':
      return 1;
    case 'sequence':
    case 'choice':
      return node.parts.reduce((sum, part) => sum + sizeOf(part), 1);
    case 'repeat':
      return sizeOf(node.part) * Math.max(1, node.max ?? node.min + 1);
  }
}
