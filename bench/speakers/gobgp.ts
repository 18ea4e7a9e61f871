/** GoBGP from Debian, as a route reflector with nothing but what the job asks for. */

import { join } from 'node:path';
import { type SpeakerJob, type SpeakerProgram, versionOf } from './speaker.js';

export const gobgp: SpeakerProgram = {
  key: 'gobgp',
  version: () => {
    const version = versionOf(['gobgpd', '--version'], /version (\S+)/);
    return version === undefined ? undefined : `GoBGP ${version}`;
  },
  prepare: (job, folder) => ({
    command: [
      'gobgpd',
      '-t',
      'toml',
      '-f',
      join(folder, 'gobgp.toml'),
      '--api-hosts',
      '127.0.0.1:50051',
      '-l',
      'error',
    ],
    files: { 'gobgp.toml': gobgpConfig(job) },
  }),
};

function gobgpConfig(job: SpeakerJob): string {
  const other = job.family === 'ipv4-unicast' ? 'ipv6-unicast' : 'ipv4-unicast';
  const neighbor = (address: string, family: string, client: boolean): string => `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${address}"
    peer-as = ${job.asn}
  [neighbors.transport.config]
    passive-mode = true
  [neighbors.timers.config]
    hold-time = ${job.holdTime}
    keepalive-interval = ${Math.floor(job.holdTime / 3)}
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "${family}"
${
  client
    ? `  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "${job.address}"
`
    : ''
}`;
  return [
    `[global.config]\n  as = ${job.asn}\n  router-id = "${job.address}"\n`,
    ...job.feeders.map(a => neighbor(a, job.family, false)),
    ...job.clients.map(a => neighbor(a, job.family, true)),
    ...job.watchers.map(a => neighbor(a, other, true)),
  ].join('');
}
