/**
 * nftables through nft(8): scripts in its language go in, its JSON comes out (libnftables-json(5)). One script is one
 * transaction: all of it is done, or nothing. Impure: runs a process in the network namespace of the caller.
 */

import { z } from 'zod';
import { ProgramError, runProgram } from './runProgram.js';

const Chain = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  type: z.string().optional(),
  hook: z.string().optional(),
  prio: z.number().optional(),
  policy: z.string().optional(),
});
/** Without hook it is no base chain. */
export type FoundChain = z.infer<typeof Chain>;

const Rule = z.object({
  chain: z.string(),
  handle: z.number(),
  comment: z.string().optional(),
  expr: z.array(z.unknown()),
});
const NftSet = z.object({
  name: z.string(),
  type: z.unknown(),
  flags: z.array(z.string()).default([]),
  elem: z.array(z.unknown()).default([]),
});
const NftMap = NftSet.extend({ map: z.unknown() });
const Listing = z.object({
  nftables: z.array(
    z.object({
      chain: Chain.optional(),
      rule: Rule.optional(),
      set: NftSet.optional(),
      map: NftMap.optional(),
    }),
  ),
});

/** Everything in one table. */
export interface FoundTable {
  readonly chains: readonly FoundChain[];
  readonly rules: readonly Readonly<z.infer<typeof Rule>>[];
  readonly sets: readonly Readonly<z.infer<typeof NftSet>>[];
  readonly maps: readonly Readonly<z.infer<typeof NftMap>>[];
}

export interface Nft {
  /** Carries out a script as one transaction. @returns rejects with NftError when nothing of it was done */
  run(script: string): Promise<void>;
  /** @returns undefined when there is no such table */
  readTable(family: string, name: string): Promise<FoundTable | undefined>;
  /** @returns undefined when there is no such chain */
  readChain(family: string, table: string, chain: string): Promise<FoundTable | undefined>;
  /** Names, hooks and policies of all chains of all tables; not what is in them. */
  chains(): Promise<readonly FoundChain[]>;
}

/** nft(8) is missing, refused, or said what cannot be understood. */
export class NftError extends Error {
  override readonly name = 'NftError';
}

/** @param command what to run, such as `['ip', 'netns', 'exec', 'NAME', 'nft']` */
export function openNft(command: readonly string[] = ['nft']): Nft {
  return {
    run: async script => {
      await nft(command, ['-f', '-'], script);
    },
    readTable: (family, name) => read(command, ['table', family, name]),
    readChain: (family, table, chain) => read(command, ['chain', family, table, chain]),
    chains: async () => {
      const { nftables } = parseListing(await nft(command, ['-j', 'list', 'chains']));
      return nftables.flatMap(({ chain }) => chain ?? []);
    },
  };
}

async function read(command: readonly string[], what: readonly string[]): Promise<FoundTable | undefined> {
  try {
    const { nftables } = parseListing(await nft(command, ['-j', 'list', ...what]));
    const pick = <T>(values: readonly (T | undefined)[]): readonly T[] => values.filter(value => value !== undefined);
    return {
      chains: pick(nftables.map(({ chain }) => chain)),
      rules: pick(nftables.map(({ rule }) => rule)),
      sets: pick(nftables.map(({ set }) => set)),
      maps: pick(nftables.map(({ map }) => map)),
    };
  } catch (error) {
    if (error instanceof NftError && error.message.includes('No such file or directory')) return undefined;
    throw error;
  }
}

async function nft(command: readonly string[], args: readonly string[], input = ''): Promise<string> {
  try {
    return await runProgram(command, args, input);
  } catch (error) {
    if (error instanceof ProgramError) throw new NftError(error.isMissing ? MISSING : `nft: ${error.message}`);
    throw error;
  }
}

const MISSING = 'nft(8) is not installed on this machine';

function parseListing(text: string): z.infer<typeof Listing> {
  const parsed = Listing.safeParse(JSON.parse(text));
  if (!parsed.success) throw new NftError(`nft lists what cannot be understood: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
