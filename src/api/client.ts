/** Talks to a running router over its control socket. Impure. */

import { request, type IncomingMessage } from 'node:http';

const BROKEN_OFF = 'the router ended in the middle of its answer';

/** The router cannot be reached at all. */
export class RouterUnreachable extends Error {
  override readonly name = 'RouterUnreachable';
}

/** The router answered that it cannot or will not. */
export class RouterRefused extends Error {
  override readonly name = 'RouterRefused';
  constructor(
    readonly status: number,
    reason: string,
  ) {
    super(reason);
  }
}

export interface ControlClient {
  get(path: string, query?: Readonly<Record<string, string>>): Promise<unknown>;
  post(path: string, body: object): Promise<unknown>;
  /** The items of a list, one after another as they arrive. */
  list(path: string, query?: Readonly<Record<string, string>>): AsyncIterable<unknown>;
}

/** @param socketPath the router's control socket; nothing is opened before the first call */
export function createControlClient(socketPath: string): ControlClient {
  const call = async (
    method: string,
    path: string,
    query: Readonly<Record<string, string>>,
    body?: object,
  ): Promise<IncomingMessage> => {
    const search = new URLSearchParams(query).toString();
    const response = await open(socketPath, method, search === '' ? path : `${path}?${search}`, body);
    if (response.statusCode === 200) return response;
    const text = await readAll(response);
    throw new RouterRefused(response.statusCode ?? 0, reasonOf(text));
  };
  return {
    get: async (path, query = {}) => JSON.parse(await readAll(await call('GET', path, query))) as unknown,
    post: async (path, body) => JSON.parse(await readAll(await call('POST', path, {}, body))) as unknown,
    async *list(path, query = {}) {
      yield* items(await call('GET', path, query));
    },
  };
}

function open(socketPath: string, method: string, path: string, body: object | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers: { 'content-type': 'application/json' } }, resolve);
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      reject(new RouterUnreachable(unreachableText(socketPath, error.code ?? error.message)));
    });
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function unreachableText(socketPath: string, code: string): string {
  switch (code) {
    case 'ENOENT':
      return `no router is running: there is no ${socketPath} (another path: --control PATH or PEERAGE_CONTROL)`;
    case 'ECONNREFUSED':
      return `no router is running: nobody answers on ${socketPath}, left behind by one that ended`;
    case 'EACCES':
      return `no permission to use ${socketPath}: run as root, or as a member of its group`;
    default:
      return `cannot talk to the router on ${socketPath}: ${code}`;
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of chunks(response)) text += chunk;
  return text;
}

/** The server writes `[`, then an item a line, then `]`. */
async function* items(response: IncomingMessage): AsyncIterable<unknown> {
  let rest = '';
  let ended = false;
  for await (const chunk of chunks(response)) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === ']') ended = true;
      else if (line !== '[' && line !== '') yield JSON.parse(line.replace(/,$/, '')) as unknown;
    }
  }
  if (!ended) throw new RouterUnreachable(BROKEN_OFF);
}

/** The text of an answer as it arrives. @throws RouterUnreachable when the router ends in the middle */
async function* chunks(response: IncomingMessage): AsyncIterable<string> {
  response.setEncoding('utf8');
  try {
    for await (const chunk of response) yield String(chunk);
  } catch (error) {
    const isCut = typeof error === 'object' && error !== null && 'code' in error && error.code === 'ECONNRESET';
    throw isCut ? new RouterUnreachable(BROKEN_OFF) : error;
  }
}

function reasonOf(text: string): string {
  try {
    const value = JSON.parse(text) as { readonly error?: unknown };
    return typeof value.error === 'string' ? value.error : text;
  } catch {
    return text;
  }
}
