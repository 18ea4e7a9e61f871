/** Connections from a namespace to a service, to see what the kernel does for it at this moment. Impure. */

import { Socket } from 'node:net';
import { inNamespace } from '../../lab/topology/inNamespace.js';
import { openTcpSocket } from '../../src/kernel/socketOptions.js';
import { PORT } from './cluster.js';

/** Milliseconds until a connection counts as unanswered: between namespaces, an answer takes a fraction of one. */
const PATIENCE = 500;
/** Milliseconds between two connections. */
const BETWEEN = 1;

/** @returns what the endpoint says; undefined: refused, or silence */
export function ask(namespace: string, host: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = new Socket({ fd: inNamespace(namespace, () => openTcpSocket(4)) });
    const finish = (answer?: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(finish, PATIENCE);
    socket.on('data', data => finish(data.toString()));
    socket.on('error', () => finish());
    socket.on('end', () => finish());
    socket.connect({ host, port: PORT });
  });
}

/** Asks until the answer is this one, or until there is any. @param limit milliseconds @returns whether it came to that */
export async function heard(
  namespace: string,
  host: string,
  answer: string | undefined,
  limit: number,
): Promise<boolean> {
  for (const until = performance.now() + limit; performance.now() < until;) {
    const said = await ask(namespace, host);
    if (said !== undefined && said === (answer ?? said)) return true;
    await new Promise(resolve => setTimeout(resolve, BETWEEN));
  }
  return false;
}
