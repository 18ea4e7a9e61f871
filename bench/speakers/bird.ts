/** BIRD 2 from Debian, as a route reflector with nothing but what the job asks for. */

import { join } from 'node:path';
import { type SpeakerJob, type SpeakerProgram, versionOf } from './speaker.js';

export const bird: SpeakerProgram = {
  key: 'bird',
  version: () => {
    const version = versionOf(['bird', '--version'], /BIRD version (\S+)/);
    return version === undefined ? undefined : `BIRD ${version}`;
  },
  prepare: (job, folder) => ({
    command: ['bird', '-f', '-c', join(folder, 'bird.conf'), '-s', join(folder, 'bird.ctl')],
    files: { 'bird.conf': birdConfig(job) },
  }),
};

/** `direct` and `gateway direct`: next hops are on the link, which spares BIRD the recursive lookup. */
function birdConfig(job: SpeakerJob): string {
  const channel = job.family === 'ipv4-unicast' ? 'ipv4' : 'ipv6';
  const other = job.family === 'ipv4-unicast' ? 'ipv6' : 'ipv4';
  const own = `${channel} { import all; export all; gateway direct; };`;
  const watcher = `${other} { import none; export none; };`;
  const peer = (name: string, address: string, options: string): string =>
    `protocol bgp ${name} {
  local ${job.address} as ${job.asn};
  neighbor ${address} as ${job.asn};
  passive; direct; hold time ${job.holdTime};
  ${options}
}
`;
  return [
    `router id ${job.address};\nlog stderr { error, fatal, bug };\nprotocol device {}\n`,
    job.install ? `protocol kernel { ${channel} { import none; export all; }; }\n` : '',
    ...job.feeders.map((a, i) => peer(`feeder${i + 1}`, a, own)),
    ...job.clients.map((a, i) => peer(`client${i + 1}`, a, `rr client; ${own}`)),
    ...job.watchers.map((a, i) => peer(`watcher${i + 1}`, a, `rr client; ${watcher}`)),
  ].join('');
}
