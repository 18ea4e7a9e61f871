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
  /** More paths beside those of health, and what is sent for each as JSON. */
  readonly others?: Readonly<Record<string, () => object>>;
  readonly scrape: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly logger: Logger;
  /** Milliseconds. */
  readonly retryTime?: number;
}

export interface Observer {
  close(): void;
}

type Answer = (response: ServerResponse) => void;

/** Milliseconds until a port that was taken is tried again: a process that ends may still have it. */
const RETRY = 5000;

/** A port that is taken is logged, tried again, and costs the router nothing. */
export function openObserver(options: ObserverOptions): Observer {
  const { health, metrics, facts, others = {}, scrape, logger, retryTime = RETRY } = options;
  const listen = (what: string, endpoint: Endpoint, paths: Readonly<Record<string, Answer>>): (() => void) =>
    serve(what, endpoint, paths, { logger, retryTime });
  const healthPaths: Readonly<Record<string, Answer>> = {
    '/healthz': response => answerHealth(response, liveness(facts())),
    '/livez': response => answerHealth(response, liveness(facts())),
    '/readyz': response => answerHealth(response, readiness(facts())),
    ...Object.fromEntries(
      Object.entries(others).map(([path, tell]) => [
        path,
        (response: ServerResponse) => answerJson(response, 200, tell()),
      ]),
    ),
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
  const ends = isOne
    ? [listen('health and metrics', health, { ...healthPaths, ...metricPaths })]
    : [listen('health', health, healthPaths), listen('metrics', metrics, metricPaths)];
  return { close: () => ends.forEach(end => end()) };
}

/** @returns a function that ends it */
function serve(
  what: string,
  { port, address }: Endpoint,
  paths: Readonly<Record<string, Answer>>,
  { logger, retryTime }: { readonly logger: Logger; readonly retryTime: number },
): () => void {
  if (port === 0) return () => undefined;
  const server = serverOf(paths);
  let retry: NodeJS.Timeout | undefined;
  const listen = (): void => void server.listen(port, ...(address === '' ? [] : [address]));
  server.on('listening', () => logger.info({ port, address }, `${what} over HTTP`));
  server.on('error', error => {
    logger[retry === undefined ? 'error' : 'debug']({ err: error, port, address }, `no ${what} over HTTP yet`);
    // One connection that could not be accepted: the next may be.
    if (!server.listening) retry = setTimeout(listen, retryTime);
  });
  listen();
  return () => {
    clearTimeout(retry);
    server.closeAllConnections();
    server.close();
  };
}

function serverOf(paths: Readonly<Record<string, Answer>>): Server {
  return createServer((request, response) => {
    const [path = ''] = (request.url ?? '/').split('?');
    const answer = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (answer === undefined) response.writeHead(404).end(`here are ${Object.keys(paths).join(', ')}\n`);
    else if (request.method !== 'GET' && request.method !== 'HEAD') response.writeHead(405).end();
    else answer(response);
  });
}

function answerHealth(response: ServerResponse, { status, body }: HealthAnswer): void {
  answerJson(response, status, body);
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}
