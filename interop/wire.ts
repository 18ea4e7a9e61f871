/** What really crossed the link: BGP as tcpdump saw it, neither side's own word. Impure. */

import { join } from 'node:path';
import { waitFor } from '../lab/topology/commands.js';
import type { Topology } from '../lab/topology/topology.js';

/** A segment with BGP messages in it. */
export interface Segment {
  /** Address of its sender. */
  readonly from: string;
  /** tcpdump's words on the messages. */
  readonly text: string;
}

export interface Capture {
  /** The segments so far, oldest first. */
  segments(): Promise<readonly Segment[]>;
  end(): Promise<void>;
}

/** Begins to record the BGP traffic of a host; only what comes after its return is sure to be in it. */
export async function capture(topology: Topology, host: string): Promise<Capture> {
  const file = join(topology.folder, `${host}-${String(performance.now())}.pcap`);
  const recorder = topology.start(host, 'tcpdump', 'tcpdump', ['-i', 'eth0', '-n', '-U', '-w', file, 'tcp port 179']);
  await waitFor('the beginning of the recording', 60_000, () => recorder.log().includes('listening on') || undefined);
  return {
    segments: async () => {
      const { stdout } = await topology.exec(host, 'tcpdump', ['-n', '-v', '-r', file]);
      return segmentsOf(stdout);
    },
    end: () => recorder.end(),
  };
}

/** @param text of `tcpdump -v`: two lines of headers, then indented lines for the messages */
export function segmentsOf(text: string): Segment[] {
  return text.split(/^(?=\S)/m).flatMap(packet => {
    const from = /^\s+([0-9a-f.:]+)\.\d+ > /m.exec(packet)?.[1];
    return from === undefined || !packet.includes(': BGP') ? [] : [{ from, text: packet }];
  });
}

export const isRequest = ({ text }: Segment): boolean => /Route Refresh Message/i.test(text);

/** Whether the segment announces this very prefix; End-of-RIB announces none. */
export function announces({ text }: Segment, prefix: string): boolean {
  return text.split('\n').some(line => line.trim() === prefix || line.trim().startsWith(`${prefix} `));
}
