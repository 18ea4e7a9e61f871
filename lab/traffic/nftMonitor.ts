/** What is written into nftables on a host, by whomever, as nft(8) tells it. Impure. */

import { waitFor } from '../topology/commands.js';
import type { Program, Topology } from '../topology/topology.js';

const PATIENCE = 60_000;
/** Tables that come and go to show that the monitor has heard everything before. */
const PROBE = 'peerage-probe';

export class NftMonitor {
  private probes = 0;

  private constructor(
    private readonly topology: Topology,
    private readonly host: string,
    private readonly program: Program,
  ) {}

  /** Resolves when it listens. */
  static async start(topology: Topology, host: string): Promise<NftMonitor> {
    const monitor = new NftMonitor(topology, host, topology.start(host, `nft-${host}`, 'nft', ['monitor']));
    await monitor.catchUp();
    return monitor;
  }

  /** Every change until now, but for the marks of generations. */
  async changes(): Promise<readonly string[]> {
    await this.catchUp();
    return this.program
      .log()
      .split('\n')
      .filter(line => line !== '' && !line.includes(PROBE) && !line.startsWith('# new generation'));
  }

  end(): Promise<void> {
    return this.program.end();
  }

  private async catchUp(): Promise<void> {
    const table = `${PROBE}${++this.probes}`;
    await waitFor(`news of nftables on ${this.host}`, PATIENCE, async () => {
      await this.topology.exec(this.host, 'nft', [`add table ip ${table}; delete table ip ${table}`]);
      return this.program.log().includes(table) ? true : undefined;
    });
  }
}
