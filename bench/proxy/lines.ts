/** Numbers of the benchmark, and how they are printed. */

export function print(what: string, value: number | string): void {
  const text = typeof value === 'string' || Number.isInteger(value) ? String(value) : value.toFixed(2);
  console.log(`  ${what.padEnd(60)} ${text}`);
}

/** @param share 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export async function seconds(act: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await act();
  return (performance.now() - start) / 1000;
}
