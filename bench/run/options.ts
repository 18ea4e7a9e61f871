/** The command line of `make bench`. */

import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';

const Options = z.object({
  size: z.number(),
  runs: z.number(),
  limit: z.number(),
  quick: z.boolean().default(false),
  only: z.string().array().optional(),
  against: z.string().array().optional(),
  mrt: z.string().optional(),
  md: z.boolean().default(false),
  plain: z.boolean().default(false),
  profile: z.string().optional(),
  verbose: z.boolean().default(false),
});
export type BenchOptions = z.infer<typeof Options>;

export function parseOptions(argv: readonly string[], keys: readonly string[]): BenchOptions {
  const program = new Command('make bench')
    .description('Measures our speaker and others side by side, and prints how many times faster ours is.')
    .option('--size <N>', 'prefixes of a full table', positive, 1_000_000)
    .option('--runs <N>', 'repeat everything and take medians', positive, 1)
    .option('--limit <SECONDS>', 'give a speaker no more time than this for one phase', positive, 100)
    .option('--quick', 'a look in half a minute: 100,000 prefixes, one client, BIRD only')
    .option('--only <KEY...>', `workloads: ${keys.join(', ')}`)
    .option('--against <NAME...>', 'peers: bird, gobgp; none leaves all out')
    .option('--mrt <FILE>', 'announce the table of an MRT file (RFC 6396, plain or gzipped) instead of a generated one')
    .option('--md', 'also write docs/benchmarks.md')
    .option('--plain', 'do not tell our speaker how many routes to expect')
    .option('--profile <FOLDER>', 'write CPU profiles of our speaker there (its times then mean nothing)')
    .option('--verbose', 'print each measurement as it comes')
    .addHelpText(
      'after',
      `
Examples:
  make bench
  make bench ARGS="--quick"
  make bench ARGS="--only one ten --runs 3 --md"
  make bench ARGS="--mrt rib.20261101.0000.gz --only one"`,
    );
  program.parse([...argv], { from: 'user' });
  const options = Options.parse(program.opts());
  const unknown = options.only?.filter(key => !keys.includes(key)) ?? [];
  if (unknown.length > 0)
    program.error(`error: no workload is called ${unknown.join(', ')}; there are ${keys.join(', ')}`);
  return options;
}

/** Reads a count from a command line. @throws InvalidArgumentError */
export function positive(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError('a whole number from 1 up is needed');
  return n;
}
