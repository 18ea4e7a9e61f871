/** Seeded randomness: the same seed gives the same table on every machine, so that runs can be compared. */

/** Unsigned 32-bit integers, uniformly spread. */
export type RandomWords = () => number;

/** Counter-based generator (splitmix32's finaliser over a Weyl sequence): good enough for shaping data, not for secrets. */
export function randomWords(seed: number): RandomWords {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    return mix32(state);
  };
}

/** A bijection of 32-bit words that spreads neighbours far apart. */
export function mix32(word: number): number {
  let x = word >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

/** 0 .. below-1. */
export function randomBelow(words: RandomWords, below: number): number {
  return Math.floor((words() / 0x1_0000_0000) * below);
}

/** Index into `weights`, drawn in proportion to them. */
export function randomWeighted(words: RandomWords, weights: readonly number[]): number {
  const total = weights.reduce((sum, w) => sum + w, 0);
  let left = (words() / 0x1_0000_0000) * total;
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i]!;
    if (left < 0) return i;
  }
  return weights.length - 1;
}

/** Fisher and Yates, in place. */
export function shuffle(words: RandomWords, values: Uint32Array): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = randomBelow(words, i + 1);
    const held = values[i]!;
    values[i] = values[j]!;
    values[j] = held;
  }
}

/** Splits `total` in proportion to `weights` into whole numbers that sum up exactly (largest remainder). */
export function apportion(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map(w => (total * w) / sum);
  const parts = exact.map(Math.floor);
  const missing = total - parts.reduce((a, b) => a + b, 0);
  const byRemainder = exact.map((_, i) => i).sort((a, b) => exact[b]! - parts[b]! - (exact[a]! - parts[a]!) || a - b);
  for (const i of byRemainder.slice(0, missing)) parts[i]! += 1;
  return parts;
}
