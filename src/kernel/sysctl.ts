/** Kernel switches under /proc/sys/net, of the network namespace of the calling thread. Impure. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

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

/** Sets a switch unless it has the value already, so that a read-only /proc that is set up right is no error. @throws the system's error */
function set(path: string, value: string): boolean {
  if (readFileSync(`${ROOT}/${path}`, 'utf8').trim() === value) return false;
  writeFileSync(`${ROOT}/${path}`, value);
  return true;
}

/**
 * Lets the kernel forward packets of both families, in the network namespace of this process.
 * A kernel without IPv6 is left alone. Links that learn their default route from router advertisements go on doing so:
 * with forwarding on, accept_ra 1 would mean no.
 * @returns the switches that were changed, as sysctl names them
 * @throws the system's error, which names the file
 */
export function enableForwarding(): readonly string[] {
  const links = ipv6Links();
  const advertised = links.filter(link => readFileSync(`${ROOT}/ipv6/conf/${link}/accept_ra`, 'utf8').trim() === '1');
  const wanted: readonly (readonly [path: string, value: string])[] = [
    ['ipv4/ip_forward', '1'],
    ...advertised.map(link => [`ipv6/conf/${link}/accept_ra`, '2'] as const),
    ...(links.length === 0 ? [] : [['ipv6/conf/all/forwarding', '1'] as const]),
  ];
  return wanted
    .filter(([path, value]) => set(path, value))
    .map(([path, value]) => `net.${path.replaceAll('/', '.')}=${value}`);
}

function ipv6Links(): readonly string[] {
  try {
    return readdirSync(`${ROOT}/ipv6/conf`).filter(link => link !== 'all');
  } catch {
    return [];
  }
}
