/** Kernel switches under /proc/sys/net, of the network namespace of the calling thread. Impure. */

import { readFileSync, writeFileSync } from 'node:fs';

const ROOT = '/proc/sys/net';

export interface Switches {
  /** @param name path below /proc/sys/net. @returns undefined when there is no such switch, or it cannot be read */
  read(name: string): string | undefined;
  /** @throws the system's error, which names the file */
  write(name: string, value: string): void;
}

export const kernelSwitches: Switches = {
  read: name => {
    try {
      return readFileSync(`${ROOT}/${name}`, 'utf8').trim();
    } catch {
      return undefined;
    }
  },
  write: (name, value) => writeFileSync(`${ROOT}/${name}`, value),
};

/** `net.ipv4.ip_forward`, as sysctl(8) names it: dots in names of links become slashes. */
export function sysctlName(name: string): string {
  return `net.${name.replaceAll('.', '\0').replaceAll('/', '.').replaceAll('\0', '/')}`;
}
