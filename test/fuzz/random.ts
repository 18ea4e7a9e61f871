/** Random numbers that come again: each case has its own generator, made from the seed of the run and its number. */

export interface Random {
  /** 0 .. n-1 */
  below(n: number): number;
  /** True once in `n` times. */
  oneIn(n: number): boolean;
  pick<T>(items: readonly T[]): T;
  octets(length: number): Uint8Array;
}

// Looked up once: inside the test runner's sandbox every use of a global is a slow one.
const { imul } = Math;
const Octets = Uint8Array;

/** mulberry32: small, fast and good enough to spread mutations. */
export function randomOf(seed: number, caseNumber: number): Random {
  let state = (imul(seed, 0x9e3779b1) ^ imul(caseNumber + 1, 0x85ebca6b)) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = imul(t ^ (t >>> 15), t | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (n: number): number => next() % n;
  return {
    below,
    oneIn: n => below(n) === 0,
    pick: items => items[below(items.length)]!,
    octets: length => {
      const octets = new Octets(length);
      for (let i = 0; i < length; i++) octets[i] = next();
      return octets;
    },
  };
}

/** The seed of this run: PEERAGE_FUZZ_SEED to repeat one, else the clock. */
export function runSeed(): number {
  const given = process.env['PEERAGE_FUZZ_SEED'];
  return given === undefined ? Date.now() >>> 0 : Number(given) >>> 0;
}

/** Seconds to run: PEERAGE_FUZZ_SECONDS, default 40. */
export function runSeconds(): number {
  return Number(process.env['PEERAGE_FUZZ_SECONDS'] ?? 40);
}
