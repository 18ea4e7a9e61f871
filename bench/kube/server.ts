/**
 * An API server with nothing but speed, as a process of its own: lists in pages or streamed, watches, and one endpoint
 * change for each PATCH of a slice. `node build/bench/kube/server.js NODES SERVICES PODS`; prints its port.
 */

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { nodeJson, podJson, serviceJson, sliceJson, type ClusterSize } from './cluster.js';

const [nodes = 0, services = 0, pods = 0] = process.argv.slice(2).map(Number);
const size: ClusterSize = { nodes, services, pods };

interface Collection {
  readonly kind: string;
  readonly apiVersion: string;
  readonly count: number;
  readonly json: (n: number, version: number) => string;
}

const SLICES = '/apis/discovery.k8s.io/v1/endpointslices';
const COLLECTIONS: Readonly<Record<string, Collection>> = {
  '/api/v1/nodes': { kind: 'Node', apiVersion: 'v1', count: nodes, json: nodeJson },
  '/api/v1/services': { kind: 'Service', apiVersion: 'v1', count: services, json: serviceJson },
  [SLICES]: {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    count: services,
    json: (n, version) => sliceJson(n, size, version),
  },
  '/api/v1/pods': { kind: 'Pod', apiVersion: 'v1', count: pods, json: (n, version) => podJson(n, size, version) },
};

const watchers = new Set<ServerResponse>();
let version = 1;

createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://server');
  const collection = COLLECTIONS[url.pathname];
  if (request.method === 'PATCH') {
    const slice = Number(/service-(\d+)-/.exec(url.pathname)?.[1]);
    void text(request).then(body => {
      change(slice, body.includes('"ready":true'));
      response.end('{}');
    });
  } else if (collection === undefined) response.writeHead(404).end();
  else if (url.searchParams.get('watch') === 'true') void watch(collection, url, response);
  else list(collection, url, response);
}).listen(0, '127.0.0.1', function (this: { address(): AddressInfo | string | null }) {
  const address = this.address();
  process.stdout.write(`${address !== null && typeof address === 'object' ? address.port : 0}\n`);
});

function list({ count, json }: Collection, url: URL, response: ServerResponse): void {
  const from = Number(url.searchParams.get('continue') ?? 0);
  const to = Math.min(count, from + Number(url.searchParams.get('limit') ?? count));
  const items = Array.from({ length: to - from }, (_, i) => json(from + i, version));
  const next = to < count ? String(to) : '';
  response.end(`{"metadata":{"resourceVersion":"${version}","continue":"${next}"},"items":[${items.join()}]}`);
}

async function watch(collection: Collection, url: URL, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  if (url.searchParams.get('sendInitialEvents') === 'true') await sendAll(collection, response);
  if (url.pathname === SLICES) watchers.add(response);
  response.on('close', () => watchers.delete(response));
}

async function sendAll({ kind, apiVersion, count, json }: Collection, response: ServerResponse): Promise<void> {
  const typed = `"kind":"${kind}","apiVersion":"${apiVersion}",`;
  for (let n = 0; n < count;) {
    let lines = '';
    for (const end = Math.min(count, n + 50); n < end; n++)
      lines += `{"type":"ADDED","object":{${typed}${json(n, version).slice(1)}}\n`;
    if (!response.write(lines)) await new Promise(resolve => response.once('drain', resolve));
  }
  const annotations = '"annotations":{"k8s.io/initial-events-end":"true"}';
  response.write(`{"type":"BOOKMARK","object":{${typed}"metadata":{"resourceVersion":"${version}",${annotations}}}}\n`);
}

function change(slice: number, ready: boolean): void {
  version++;
  const typed = '"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1",';
  const event = `{"type":"MODIFIED","object":{${typed}${sliceJson(slice, size, version, ready).slice(1)}}\n`;
  for (const watcher of watchers) watcher.write(event);
}
