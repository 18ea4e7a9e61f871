/**
 * The control API: HTTP with JSON over a unix socket (docs/api.md). Impure.
 *
 * Tables are streamed in pieces with pauses in between, so that showing a million routes never delays a keepalive.
 */

import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { findRoute, type Answer } from './routes.js';
import { NotReady, type RouterView } from './view.js';

export interface ControlServer {
  close(): Promise<void>;
}

/** Milliseconds of listing before others get their turn. */
const SLICE = 2;
/** Characters gathered before they are written. */
const CHUNK = 64 * 1024;
const MAX_BODY = 64 * 1024;
/** Leaves 0660: who may use the socket may end sessions. */
const SOCKET_MASK = 0o117;

/** @throws Error when another router answers on the socket, or it cannot be made */
export async function createControlServer({
  path,
  view,
}: {
  readonly path: string;
  readonly view: RouterView;
}): Promise<ControlServer> {
  await clearWay(path);
  const server = createServer((request, response) => {
    void handle(view, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The socket is made inside this call: with the mask it never is open to everybody, not even for a moment.
    const mask = process.umask(SOCKET_MASK);
    server.listen(path, resolve);
    process.umask(mask);
  });
  return {
    close: () =>
      new Promise(resolve => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Never rejects: a client must not be able to end the router. */
async function handle(view: RouterView, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const url = urlOf(request.url ?? '/');
    const body = request.method === 'POST' ? await readBody(request) : undefined;
    await reply(response, await findRoute(view, request.method ?? 'GET', url, body));
  } catch (error) {
    // Half a list is worse than none: the client sees that it was broken off.
    if (response.headersSent || response.destroyed) response.destroy();
    else await reply(response, { status: statusOf(error), value: { error: message(error) } });
  }
}

function statusOf(error: unknown): number {
  if (error instanceof RangeError) return 400;
  return error instanceof NotReady ? 503 : 500;
}

/** @throws RangeError when it is none */
function urlOf(target: string): URL {
  try {
    return new URL(`http://control${target}`);
  } catch {
    throw new RangeError('the request target is not a path');
  }
}

async function reply(response: ServerResponse, answer: Answer): Promise<void> {
  response.writeHead(answer.status, { 'content-type': 'application/json' });
  if (!('items' in answer)) {
    response.end(`${JSON.stringify(answer.value)}\n`);
    return;
  }
  let pending = '[';
  let first = true;
  let since = performance.now();
  for await (const item of answer.items) {
    pending += `${first ? '\n' : ',\n'}${JSON.stringify(item)}`;
    first = false;
    const long = performance.now() - since >= SLICE;
    if (!long && pending.length < CHUNK) continue;
    if (response.destroyed) return;
    const room = response.write(pending);
    pending = '';
    if (!room) await drained(response);
    else if (long) await new Promise(resolve => setImmediate(resolve));
    since = performance.now();
  }
  response.end(`${pending}\n]\n`);
}

/** Resolves when the client has read enough, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > MAX_BODY) throw new RangeError(`a request body has at most ${MAX_BODY} characters`);
  }
  if (text === '') return {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new RangeError('the request body is not JSON');
  }
}

/**
 * Makes room for the socket: the folder is made, a socket that a dead process left is removed.
 * @throws Error when a router answers there, or something else than a socket is in the way
 */
async function clearWay(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`control socket: ${path} exists and is not a socket`);
  if (await answers(path)) throw new Error(`control socket: another router is running, it answers on ${path}`);
  rmSync(path);
}

/** True when a process accepts connections on the socket; a file left behind by a dead one does not. */
function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
