/** An API server that does as it is told: real HTTP on loopback, and every fault a real one may have. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connectApi, type ApiConnection } from '../../../../src/kube/client/apiConnection.js';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly response: ServerResponse;
  /** What was sent with it. */
  body(): Promise<string>;
}

export class FakeApiServer {
  private readonly server: Server;
  private readonly waiting: ((asked: Asked) => void)[] = [];
  private readonly asked: Asked[] = [];

  private constructor() {
    this.server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://fake');
      const asked = {
        method: request.method ?? '',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        response,
        body: () => textOf(request),
      };
      const taker = this.waiting.shift();
      if (taker === undefined) this.asked.push(asked);
      else taker(asked);
    });
  }

  static async start(): Promise<FakeApiServer> {
    const fake = new FakeApiServer();
    await new Promise<void>(resolve => fake.server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  connect(): ApiConnection {
    return connectApi({
      server: `http://127.0.0.1:${this.port}`,
      proxied: false,
      apply: options => {
        Object.assign(options, { headers: Object.assign({}, options.headers, { authorization: 'Bearer secret' }) });
        return Promise.resolve();
      },
    });
  }

  /** The next request that nobody has taken yet. */
  next(): Promise<Asked> {
    const there = this.asked.shift();
    return there === undefined ? new Promise(resolve => this.waiting.push(resolve)) : Promise.resolve(there);
  }

  /** Requests that nobody has taken. */
  get untaken(): number {
    return this.asked.length;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise(resolve => this.server.close(resolve));
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export function node(name: string, version: string, podCidr = '10.244.1.0/24'): object {
  return {
    kind: 'Node',
    apiVersion: 'v1',
    metadata: { name, uid: `uid-${name}`, resourceVersion: version },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] },
  };
}

export function answerList(asked: Asked, items: readonly unknown[], version: string, next = ''): void {
  asked.response.end(
    JSON.stringify({
      kind: 'NodeList',
      apiVersion: 'v1',
      metadata: { resourceVersion: version, continue: next },
      items,
    }),
  );
}

export function answerStatus(
  asked: Asked,
  status: number,
  message: string,
  headers: Record<string, string> = {},
): void {
  asked.response.writeHead(status, headers).end(JSON.stringify({ kind: 'Status', code: status, message }));
}

/** One event of a watch. */
export function sendEvent(asked: Asked, type: string, object: object): void {
  asked.response.write(`${JSON.stringify({ type, object })}\n`);
}

export function bookmark(version: string, initialEnd = false): object {
  const annotations = initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
  return { kind: 'Node', apiVersion: 'v1', metadata: { resourceVersion: version, ...annotations } };
}
