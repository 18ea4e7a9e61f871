/** docs/benchmarks.md: how it was measured, then the tables. Says what kind of machine, never which. */

import { cpus, totalmem } from 'node:os';
import type { Row } from './rows.js';
import { GENERATOR_NOTE, markdownTables } from './render.js';

export interface RunFacts {
  readonly speakers: readonly string[];
  readonly runs: number;
  readonly table: string;
  /** Peerage was not told how many routes to expect. */
  readonly isPlain: boolean;
  readonly notes: readonly string[];
}

const PREPARED = `* Peerage is also told how many routes to expect (\`rib.expectedRoutes\`): it has memory for them, and has compiled what
  they need, before the first session; starting takes it a few tenths of a second longer, which is not measured. BIRD has
  no such setting. The rows *unprepared* are Peerage without it.
`;

export function markdownReport(rows: readonly Row[], facts: RunFacts): string {
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB of memory, Linux, Node ${process.versions.node}`;
  return `# Benchmarks

Written by \`make bench ARGS=--md\`. Ratios are theirs / ours (larger is better for us) from the same run on the same
machine; absolute numbers, in brackets, drift from day to day and machine to machine, so compare ratios.

## How it is measured

* ${facts.speakers.join(', ')}; each is a route reflector in a network namespace of its own, alone on the machine with
  the load, joined to it by a veth link, configured with nothing but its peers.
${facts.isPlain ? '' : PREPARED}* A feeder announces the table over iBGP: ${facts.table}. Everything is encoded before the clock starts.
* Counting clients over real TCP keep exact account of every prefix: duplicates and repeated withdrawals change nothing,
  and an old route is told from a new one. A phase ends when the last client holds exactly what it should.
* *announce*: from the feeder's first octet until every client holds the table. *late*: one more client connects and gets
  everything. *change*: every prefix again with other attributes. *withdraw*: everything goes. With two feeders, both have
  every prefix and each has the better path for half of it; done is when every client holds the right half of each.
* CPU is the speaker's own (all threads), until it is quiet again. Memory is the largest resident set.
* Kernel: routes counted in the kernel's table of the speaker's namespace.
* Keepalives: hold time 3 s; a peer that is sent no routes times the silence between keepalives while the table is
  announced, changed and withdrawn over and over.
* Machine: ${machine}; feeder, clients and speaker share it. Medians of ${facts.runs} run${facts.runs === 1 ? '' : 's'}.

${GENERATOR_NOTE}.
${facts.notes.map(note => `\n${note}\n`).join('')}
## Results

${markdownTables(rows)}
`;
}
