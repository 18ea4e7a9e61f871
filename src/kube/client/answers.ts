/**
 * What an API server's answer holds, in either of the encodings it has: lists and events of watches as plain objects, of
 * which those that came as protocol buffers have only the fields we use.
 */

import type { Kind } from '../objectTypes.js';
import { isRecord } from '../objects.js';
import { KIND_MESSAGES, LIST_METADATA, STATUS, WATCH_TYPE } from '../protobuf/messages.js';
import { decode, eachField, fieldOctets, WireError, type Message } from '../protobuf/reader.js';

export type Encoding = 'json' | 'protobuf';

/** Protocol buffers cost the server and us a fraction of what JSON costs; who has none of them answers with JSON. */
export const ACCEPT = 'application/vnd.kubernetes.protobuf,application/json';

export function encodingOf(contentType: string | undefined): Encoding {
  return contentType?.startsWith('application/vnd.kubernetes.protobuf') === true ? 'protobuf' : 'json';
}

export interface List {
  readonly items: readonly unknown[];
  /** Continue token; undefined after the last page. */
  readonly next: string | undefined;
  readonly version: string;
}

export interface WatchEvent {
  readonly type: unknown;
  readonly object: Readonly<Record<string, unknown>>;
}

/** @returns what is wrong with it when it is no list */
export function readList(kind: Kind, octets: Buffer, encoding: Encoding): List | string {
  const list = encoding === 'json' ? jsonOf(octets) : readable(() => protobufList(kind, octets));
  if (!isRecord(list) || !isRecord(list['metadata'])) return 'the server answered with something that is no list';
  const { continue: next, resourceVersion } = list['metadata'];
  if (typeof resourceVersion !== 'string') return 'the server answered with a list without a version';
  const items: unknown = list['items'] ?? [];
  if (!Array.isArray(items)) return 'the server answered with a list whose items are none';
  return { items, next: typeof next === 'string' && next !== '' ? next : undefined, version: resourceVersion };
}

/** @returns undefined when it is no event */
export function readWatchEvent(kind: Kind, octets: Buffer, encoding: Encoding): WatchEvent | undefined {
  const event = encoding === 'json' ? jsonOf(octets) : readable(() => protobufEvent(kind, octets));
  if (!isRecord(event) || !isRecord(event['object'])) return undefined;
  return { type: event['type'], object: event['object'] };
}

/** The message of a Status object (meta/v1); undefined: whoever answered in the server's place says nothing we understand. */
export function readStatusMessage(octets: Buffer, encoding: Encoding): string | undefined {
  const status = encoding === 'json' ? jsonOf(octets) : readable(() => decode(enveloped(octets), STATUS));
  return isRecord(status) && typeof status['message'] === 'string' ? status['message'] : undefined;
}

function jsonOf(octets: Buffer): unknown {
  try {
    return JSON.parse(octets.toString()) as unknown;
  } catch {
    return undefined;
  }
}

function readable(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** What every object begins with, and the field of runtime.Unknown that holds the object itself. */
const MAGIC = Buffer.from('k8s\0');
const RAW = 2;

function enveloped(octets: Buffer): Buffer {
  if (!octets.subarray(0, MAGIC.length).equals(MAGIC)) throw new WireError('no object of Kubernetes');
  return fieldOctets(octets.subarray(MAGIC.length), RAW) ?? Buffer.alloc(0);
}

function protobufList(kind: Kind, octets: Buffer): unknown {
  const list = enveloped(octets);
  const message = messageOf(kind);
  const items: unknown[] = [];
  eachField(list, 2, (start, end) => items.push(decode(list, message, start, end)));
  return { metadata: decode(fieldOctets(list, 1) ?? Buffer.alloc(0), LIST_METADATA), items };
}

function messageOf(kind: Kind): Message {
  const message = KIND_MESSAGES[kind];
  if (message === undefined) throw new WireError(`${kind} cannot be read from protocol buffers`);
  return message;
}

function protobufEvent(kind: Kind, octets: Buffer): unknown {
  const { type } = decode(octets, WATCH_TYPE);
  const object = enveloped(fieldOctets(fieldOctets(octets, 2) ?? Buffer.alloc(0), 1) ?? Buffer.alloc(0));
  return { type, object: decode(object, type === 'ERROR' ? STATUS : messageOf(kind)) };
}
