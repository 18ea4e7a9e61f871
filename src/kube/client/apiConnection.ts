/** HTTP to an API server: one request, one answer that is read as it comes. Impure. */

import http from 'node:http';
import https from 'node:https';
import { ACCEPT, encodingOf, readStatusMessage, type Encoding } from './answers.js';
import { createFrames } from './framing.js';

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
  /** One event of a watch; the octets are valid during the call only. */
  event?(octets: Buffer, encoding: Encoding): void;
  /** The whole body of an answer that is no watch. */
  body?(octets: Buffer, encoding: Encoding): void;
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
  /** The connection stood, and nothing came. */
  readonly isSilent?: boolean;
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
/** Seconds that we wait at most because somebody asks for it: more than 24 days a timer takes for none at all. */
const LONGEST_RETRY_AFTER = 600;

export function connectApi(credentials: ApiCredentials): ApiConnection {
  const base = new URL(credentials.server);
  const protocol = base.protocol === 'http:' ? http : https;
  // One agent for all requests: pages of a list and all watches of a kind come over few connections.
  const agent = new protocol.Agent({ keepAlive: true, keepAliveMsecs: 30_000 });

  const open = async (path: string): Promise<http.ClientRequest> => {
    const options: https.RequestOptions = { headers: { accept: ACCEPT } };
    // Asked each time: tokens of service accounts change while we run.
    await credentials.apply(options);
    if (!credentials.proxied) options.agent = agent;
    const request = protocol.request(new URL(base.pathname.replace(/\/$/, '') + path, base), options);
    // One that is cancelled before anybody listens would end the process.
    request.on('error', () => undefined);
    return request;
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
    open(path).then(
      opened => {
        if (over) return void opened.destroy();
        request = opened;
        opened.setTimeout(silence, () =>
          fail({ status: undefined, text: `no answer for ${Math.round(silence / 1000)} s`, isSilent: true }),
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

  return { server: base.host, get, close: () => agent.destroy() };
}

async function read(response: http.IncomingMessage, events: AnswerEvents, isOver: () => boolean): Promise<void> {
  const encoding = encodingOf(response.headers['content-type']);
  if (events.event === undefined || response.statusCode !== 200) {
    const octets = await bodyOf(response);
    if (!isOver()) events.body?.(octets, encoding);
    return;
  }
  const frames = createFrames(encoding);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    for (const octets of frames.push(chunk)) {
      if (isOver()) return;
      events.event(octets, encoding);
    }
    if (!isOver()) events.readDone?.();
  }
  if (frames.isWithin && !isOver()) throw new ApiError(undefined, 'the connection ended within an object');
}

/** @throws ApiError for any status but those of success */
export async function bodyOf(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const octets = Buffer.concat(chunks);
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return octets;
  const said =
    octets.length > MAX_ERROR ? undefined : readStatusMessage(octets, encodingOf(response.headers['content-type']));
  const error = new ApiError(status, statusText(status, said));
  const seconds = Number(response.headers['retry-after']);
  throw Object.assign(
    error,
    Number.isFinite(seconds) && seconds > 0 ? { retryAfter: Math.min(seconds, LONGEST_RETRY_AFTER) * 1000 } : {},
  );
}

function failureOf(error: unknown): Failure {
  const status = error instanceof ApiError ? error.status : undefined;
  const retryAfter =
    error instanceof ApiError && 'retryAfter' in error && typeof error.retryAfter === 'number'
      ? { retryAfter: error.retryAfter }
      : {};
  return { status, text: reasonOf(error), ...retryAfter };
}

/** @param said the message of the answer's Status object */
function statusText(status: number, said: string | undefined): string {
  const [separator, text] = said === undefined ? [' ', http.STATUS_CODES[status]] : [': ', said];
  return text === undefined ? String(status) : `${status}${separator}${text}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection broke',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'its name is not known',
};

/** Why there was no answer, in words. */
export function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? ('message' in error ? String(error.message) : 'unknown error');
}
