/** Health and metrics over HTTP, each where its settings say; on one port when those are the same. Impure. */

import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { liveness, readiness, type HealthAnswer, type HealthFacts } from './health.js';

export interface Endpoint {
  /** 0: none. */
  readonly port: number;
  /** Empty: all. */
  readonly address: string;
}

export interface ObserverOptions {
  readonly health: Endpoint;
  readonly metrics: Endpoint & { readonly path: string };
  readonly facts: () => HealthFacts;
  readonly scrape: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly logger: Logger;
}

export interface Observer {
  close(): void;
}

type Answer = (response: ServerResponse) => void;

/** A port that is taken is logged, and costs the router nothing. */
export function openObserver({ health, metrics, facts, scrape, logger }: ObserverOptions): Observer {
  const healthPaths: Readonly<Record<string, Answer>> = {
    '/healthz': response => answerHealth(response, liveness(facts())),
    '/livez': response => answerHealth(response, liveness(facts())),
    '/readyz': response => answerHealth(response, readiness(facts())),
  };
  const metricPaths: Readonly<Record<string, Answer>> = {
    [metrics.path]: response => {
      scrape().then(
        ({ contentType, text }) => response.writeHead(200, { 'content-type': contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
      );
    },
  };
  const isOne = health.port === metrics.port && health.address === metrics.address;
  const servers = isOne
    ? [listen('health and metrics', health, { ...healthPaths, ...metricPaths }, logger)]
    : [listen('health', health, healthPaths, logger), listen('metrics', metrics, metricPaths, logger)];
  return {
    close: () => {
      for (const server of servers) {
        server?.closeAllConnections();
        server?.close();
      }
    },
  };
}

function listen(
  what: string,
  { port, address }: Endpoint,
  paths: Readonly<Record<string, Answer>>,
  logger: Logger,
): Server | undefined {
  if (port === 0) return undefined;
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '/').split('?');
    const answer = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (answer === undefined) response.writeHead(404).end(`here are ${Object.keys(paths).join(', ')}\n`);
    else if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405).end();
    else answer(response);
  });
  server.on('error', error => logger.error({ err: error, port, address }, `no ${what} over HTTP`));
  server.listen(port, ...(address === '' ? [] : [address]), () => logger.info({ port, address }, `${what} over HTTP`));
  return server;
}

function answerHealth(response: ServerResponse, { status, body }: HealthAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
