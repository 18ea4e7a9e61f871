/** HTTP to an API server: one request, one answer that is read as it comes. Impure. */

import http from 'node:http';
import https from 'node:https';

/** Where the server is and how it is convinced. */
export interface ApiCredentials {
  /** URL, perhaps with a path. */
  readonly server: string;
  /** A proxy is in between: it comes with the agent that `apply` sets. */
  readonly proxied: boolean;
  /** Sets certificates and headers of one request. */
  apply(options: https.RequestOptions): Promise<void>;
}

/** Calls of one request; the last is `ended` or `failed`, and none comes after `cancel`. */
export interface AnswerEvents {
  /** A line of a watch. */
  line?(text: string): void;
  /** The whole body of an answer that is no watch. */
  body?(text: string): void;
  /** All of what one read of the socket brought was told. */
  readDone?(): void;
  ended(): void;
  failed(failure: Failure): void;
}

export interface Failure {
  /** Undefined: there was no answer. */
  readonly status: number | undefined;
  readonly text: string;
  /** Milliseconds the server asks us to wait. */
  readonly retryAfter?: number;
}

export interface ApiRequest {
  cancel(): void;
}

export interface ApiConnection {
  /** For messages: the server's address, without credentials. */
  readonly server: string;
  /**
   * Asks for a path.
   * @param silence milliseconds without an octet after which the connection counts as dead
   */
  get(path: string, silence: number, events: AnswerEvents): ApiRequest;
  /** @param body JSON to send @returns the answer's JSON @throws ApiError */
  send(method: 'POST' | 'PUT' | 'PATCH', path: string, body: unknown, contentType?: string): Promise<unknown>;
  close(): void;
}

/** The server answered with an error, or did not answer. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number | undefined,
    message: string,
  ) {
    super(message);
  }
}

/** Longest explanation of an error that is kept. */
const MAX_ERROR = 64 * 1024;
/** Milliseconds a request that changes something may take. */
const SEND_TIMEOUT = 30_000;

export function connectApi(credentials: ApiCredentials): ApiConnection {
  const base = new URL(credentials.server);
  const protocol = base.protocol === 'http:' ? http : https;
  // One agent for all requests: pages of a list and all watches of a kind come over few connections.
  const agent = new protocol.Agent({ keepAlive: true, keepAliveMsecs: 30_000 });

  const open = async (
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<http.ClientRequest> => {
    const options: https.RequestOptions = { method, headers: { accept: 'application/json', ...headers } };
    // Asked each time: tokens of service accounts change while we run.
    await credentials.apply(options);
    if (!credentials.proxied) options.agent = agent;
    return protocol.request(new URL(base.pathname.replace(/\/$/, '') + path, base), options);
  };

  const get = (path: string, silence: number, events: AnswerEvents): ApiRequest => {
    let request: http.ClientRequest | undefined;
    let over = false;
    const finish = (tell: () => void): void => {
      if (over) return;
      over = true;
      request?.destroy();
      tell();
    };
    const fail = (failure: Failure): void => finish(() => events.failed(failure));
    open('GET', path, {}).then(
      opened => {
        if (over) return void opened.destroy();
        request = opened;
        opened.setTimeout(silence, () =>
          fail({ status: undefined, text: `no answer for ${Math.round(silence / 1000)} s` }),
        );
        opened.on('error', error => fail({ status: undefined, text: reasonOf(error) }));
        opened.on('response', response => {
          read(response, events, () => over).then(
            () => finish(() => events.ended()),
            (error: unknown) => fail(failureOf(error)),
          );
        });
        opened.end();
      },
      (error: unknown) => fail({ status: undefined, text: `credentials: ${reasonOf(error)}` }),
    );
    return { cancel: () => finish(() => undefined) };
  };

  const send: ApiConnection['send'] = async (method, path, body, contentType = 'application/json') => {
    const request = await open(method, path, { 'content-type': contentType });
    return new Promise((resolve, reject) => {
      request.setTimeout(SEND_TIMEOUT, () => request.destroy(new Error('no answer')));
      request.on('error', error => reject(new ApiError(undefined, reasonOf(error))));
      request.on('response', response => {
        bodyOf(response).then(
          text => resolve(JSON.parse(text) as unknown),
          (error: unknown) => {
            const { status, text } = failureOf(error);
            reject(new ApiError(status, text));
          },
        );
      });
      request.end(JSON.stringify(body));
    });
  };

  return { server: base.host, get, send, close: () => agent.destroy() };
}

async function read(response: http.IncomingMessage, events: AnswerEvents, isOver: () => boolean): Promise<void> {
  if (events.line === undefined) {
    const text = await bodyOf(response);
    if (!isOver()) events.body?.(text);
    return;
  }
  if (response.statusCode !== 200) await bodyOf(response);
  // Lines are cut from octets: a character may lie across two reads.
  let begun: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0 && !isOver(); end = chunk.indexOf(10, start)) {
      const rest = chunk.subarray(start, end);
      const line = begun.length === 0 ? rest.toString() : Buffer.concat([...begun, rest]).toString();
      begun = [];
      start = end + 1;
      if (line !== '') events.line(line);
    }
    if (start < chunk.length) begun.push(chunk.subarray(start));
    if (!isOver()) events.readDone?.();
  }
  if (begun.length > 0 && !isOver()) throw new ApiError(undefined, 'the connection ended within an object');
}

/** @throws ApiError for any status but those of success */
async function bodyOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return text;
  const error = new ApiError(status, statusText(status, text.slice(0, MAX_ERROR)));
  const seconds = Number(response.headers['retry-after']);
  throw Object.assign(error, Number.isFinite(seconds) && seconds > 0 ? { retryAfter: seconds * 1000 } : {});
}

function failureOf(error: unknown): Failure {
  const status = error instanceof ApiError ? error.status : undefined;
  const retryAfter =
    error instanceof ApiError && 'retryAfter' in error && typeof error.retryAfter === 'number'
      ? { retryAfter: error.retryAfter }
      : {};
  return { status, text: reasonOf(error), ...retryAfter };
}

/** The message of a Status object (meta/v1), or of whoever answered in the server's place. */
function statusText(status: number, body: string): string {
  try {
    const parsed = JSON.parse(body) as unknown;
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed && typeof parsed.message === 'string')
      return `${status}: ${parsed.message}`;
  } catch {
    // Not JSON: the status alone says enough.
  }
  return `${status}${http.STATUS_CODES[status] === undefined ? '' : ` ${http.STATUS_CODES[status]}`}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection broke',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'its name is not known',
};

function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? ('message' in error ? String(error.message) : 'unknown error');
}
