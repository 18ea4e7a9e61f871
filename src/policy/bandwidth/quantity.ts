/** Kubernetes quantities (k8s.io/apimachinery/pkg/api/resource): `10M`, `1.5G`, `512Ki`, `2e6`. */

import { err, ok, type Result } from '../../core/result.js';

const GRAMMAR = /^([+-]?)(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})?$/;
const DECIMAL = 'num kMGTPE';
const BINARY = 'KMGTPE';

/** @returns the value, in whole ones away from zero as Kubernetes rounds; or a sentence that follows the text */
export function parseQuantity(text: string): Result<number, string> {
  const [, sign = '', digits = '', suffix = ''] = GRAMMAR.exec(text) ?? [];
  if (digits === '') return err('is no quantity, such as 10M');
  // A thousandth has no exact form in binary: what is left of whole numbers is noise.
  const product = Number(digits) * scaleOf(suffix);
  // Nothing, however often it is taken, is nothing (0e999).
  const value = Number(digits) === 0 ? 0 : Number.isInteger(product) ? product : Number(product.toPrecision(15));
  return ok(sign === '-' ? -Math.ceil(value) : Math.ceil(value));
}

function scaleOf(suffix: string): number {
  if (suffix === '') return 1;
  if (suffix.length > 1 && /^[eE]/.test(suffix)) return 10 ** Number(suffix.slice(1));
  if (suffix.endsWith('i')) return 1024 ** (BINARY.indexOf(suffix.charAt(0)) + 1);
  return 1000 ** (DECIMAL.indexOf(suffix) - DECIMAL.indexOf(' '));
}
