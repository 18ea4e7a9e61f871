/** Our own speaker, as a user would run it. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { Family } from '../../src/bgp/families.js';
import type { SpeakerJob, SpeakerProgram } from './speaker.js';

const MAIN = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));

/**
 * @param nodeOptions options for Node before the script, such as --cpu-prof
 * @param told whether its configuration says how many routes to expect
 */
export function peerage(nodeOptions: readonly string[], told: boolean): SpeakerProgram {
  return {
    key: 'peerage',
    version: () => (existsSync(MAIN) ? 'Peerage' : undefined),
    prepare: (job, folder) => ({
      command: [
        process.execPath,
        ...nodeOptions,
        MAIN,
        'speaker',
        '--config',
        join(folder, 'peerage.yaml'),
        '--control',
        join(folder, 'control.sock'),
      ],
      files: { 'peerage.yaml': stringify(peerageConfig(job, told)) },
    }),
  };
}

function peerageConfig(job: SpeakerJob, told: boolean): object {
  const other: Family = job.family === 'ipv4-unicast' ? 'ipv6-unicast' : 'ipv4-unicast';
  const peer = (name: string, address: string, families: Family[], routeReflectorClient: boolean): object => ({
    name,
    address,
    asn: job.asn,
    passive: true,
    holdTime: job.holdTime,
    families,
    routeReflectorClient,
  });
  return {
    router: { asn: job.asn, id: job.address, listen: [`${job.address}:179`], clusterId: job.address },
    peers: [
      ...job.feeders.map((a, i) => peer(`feeder-${i + 1}`, a, [job.family], false)),
      ...job.clients.map((a, i) => peer(`client-${i + 1}`, a, [job.family], true)),
      ...job.watchers.map((a, i) => peer(`watcher-${i + 1}`, a, [other], true)),
    ],
    fib: { install: job.install },
    ...(told ? { rib: { expectedRoutes: { [job.family]: job.prefixes } } } : {}),
  };
}
