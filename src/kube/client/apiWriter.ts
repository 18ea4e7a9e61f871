/** Single questions to an API server, in JSON, for the few objects that we write. Impure. */

import http from 'node:http';
import https from 'node:https';
import { ApiError, bodyOf, reasonOf, type ApiCredentials } from './apiConnection.js';

export interface AskOptions {
  /** Of the body; application/json unless told. */
  readonly contentType?: string;
  /** Milliseconds until the request is given up. */
  readonly timeout?: number;
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface ApiWriter {
  /** @param body JSON to send; undefined: none  @returns the answer's JSON  @throws ApiError for whatever is no success */
  ask(method: Method, path: string, body?: unknown, options?: AskOptions): Promise<unknown>;
  close(): void;
}

/** Milliseconds a request may take unless told. */
const TIMEOUT = 30_000;

export function createApiWriter(credentials: ApiCredentials): ApiWriter {
  const base = new URL(credentials.server);
  const protocol = base.protocol === 'http:' ? http : https;
  // Connections of its own: what is written never waits behind a list.
  const agent = new protocol.Agent({ keepAlive: true, keepAliveMsecs: 30_000 });

  const ask: ApiWriter['ask'] = async (
    method,
    path,
    body,
    { contentType = 'application/json', timeout = TIMEOUT } = {},
  ) => {
    const headers = { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': contentType }) };
    const options: https.RequestOptions = { method, headers, signal: AbortSignal.timeout(timeout) };
    try {
      // Asked each time: tokens of service accounts change while we run.
      await credentials.apply(options);
      if (!credentials.proxied) options.agent = agent;
      const request = protocol.request(new URL(base.pathname.replace(/\/$/, '') + path, base), options);
      return await answerOf(request, body);
    } catch (error) {
      throw error instanceof ApiError ? error : new ApiError(undefined, whyNot(error));
    }
  };
  return { ask, close: () => agent.destroy() };
}

/** @throws Error when there is none; ApiError when it is no success */
async function answerOf(request: http.ClientRequest, body: unknown): Promise<unknown> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', resolve);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
  return JSON.parse((await bodyOf(response)).toString()) as unknown;
}

function whyNot(error: unknown): string {
  const name = typeof error === 'object' && error !== null && 'name' in error ? error.name : undefined;
  return name === 'AbortError' || name === 'TimeoutError' ? 'no answer' : reasonOf(error);
}
