/** A network namespace for a test: made with ip(8), entered for a moment to open sockets that then stay in it. */

import { execFileSync } from 'node:child_process';
import { inNamespace } from '../../lab/topology/inNamespace.js';
import { removeNamespaces } from './tcpNamespaces.js';

export interface Namespace {
  readonly name: string;
  /** `ip -n NAME ARGS`; answers its output. */
  ip(args: string): string;
  /** Runs `open` with this thread in the namespace. Only sockets opened before it returns are in it: no promises. */
  inside<T>(open: () => T): T;
  remove(): void;
}

/**
 * nft(8) in a namespace as an agent in a slim image has it: without /etc/protocols (of Debian's netbase), by which nft knows the
 * names of most protocols. ip(8) gives the command mounts of its own.
 */
export function slimNft(namespace: string): readonly string[] {
  const script = 'if [ -e /etc/protocols ]; then mount --bind /dev/null /etc/protocols; fi; exec nft "$@"';
  return ['ip', 'netns', 'exec', namespace, 'sh', '-ec', script, 'nft'];
}

/** Makes it anew, with its loopback up. Needs root. */
export function makeNamespace(name: string): Namespace {
  const ip = (args: string): string =>
    execFileSync('ip', args.split(' '), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 28 });
  removeNamespaces([name]);
  ip(`netns add ${name}`);
  // Neighbours are asked for from link-local addresses, which a node has only after a second or two unless none is doubted.
  const undoubted = ['all', 'default'].map(scope => `net.ipv6.conf.${scope}.accept_dad=0`);
  ip(`netns exec ${name} sysctl -qw ${undoubted.join(' ')}`);
  ip(`-n ${name} link set lo up`);
  return {
    name,
    ip: args => ip(`-n ${name} ${args}`),
    inside: open => inNamespace(name, open),
    remove: () => removeNamespaces([name]),
  };
}
