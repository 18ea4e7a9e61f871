/** kube-proxy's own health over HTTP: /healthz and /livez, usually on port 10256. Impure. */

import { createServer } from 'node:http';
import type { Logger } from 'pino';
import type { ProxyHealth } from './proxyHealth.js';

export interface HealthServerOptions {
  /** 0: none. */
  readonly port: number;
  /** Empty: all. */
  readonly address: string;
  readonly health: ProxyHealth;
  readonly logger: Logger;
  /** For metrics. */
  readonly answered: (kind: 'healthz' | 'livez', status: number) => void;
}

/** Milliseconds until a port that was taken is tried again: the kube-proxy that we take over from may still have it. */
const RETRY = 5000;

/** @returns a function that ends it. A port that is taken is logged, tried again, and costs the proxy nothing. */
export function openHealthServer({ port, address, health, logger, answered }: HealthServerOptions): () => void {
  if (port === 0) return () => undefined;
  const server = createServer((request, response) => {
    const [path] = (request.url ?? '/').split('?');
    const kind = path === '/healthz' ? 'healthz' : path === '/livez' ? 'livez' : undefined;
    if (kind === undefined) {
      response.writeHead(404).end('here are /healthz, /livez\n');
      return;
    }
    const { status, body } = health.answer(kind);
    answered(kind, status);
    response
      .writeHead(status, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' })
      .end(JSON.stringify(body));
  });
  let retry: NodeJS.Timeout | undefined;
  const listen = (): void => void server.listen({ port, ...(address === '' ? {} : { host: address }) });
  server.on('listening', () => logger.info({ port, address }, 'health of the service proxy over HTTP'));
  server.on('error', error => {
    const level = retry === undefined ? 'error' : 'debug';
    logger[level]({ err: error, port, address }, 'no health of the service proxy over HTTP yet');
    // One connection that could not be accepted: the next may be.
    if (server.listening) return;
    retry = setTimeout(listen, RETRY);
  });
  listen();
  return () => {
    clearTimeout(retry);
    server.closeAllConnections();
    server.close();
  };
}
