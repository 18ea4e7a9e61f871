/** Cuts the answer of a watch into its events: lines of JSON, or protocol buffers with their length in front. */

import type { Encoding } from './answers.js';

/** An object is at most a few megabytes (etcd's limit is 1.5): whoever announces more speaks another language. */
const LARGEST = 64 << 20;
const LENGTH_OCTETS = 4;
const LINE_END = 10;

export interface Frames {
  /** What has come since: the events that are complete now, each valid until the next call. @throws Error when the octets are no events */
  push(chunk: Buffer): Iterable<Buffer>;
  /** Whether an event has begun that is not complete. */
  readonly isWithin: boolean;
}

export function createFrames(encoding: Encoding): Frames {
  const cut = encoding === 'json' ? lineEnd : blockEnd;
  let begun: Buffer[] = [];
  let size = 0;
  let needed = 0;
  return {
    push: function* (chunk) {
      begun.push(chunk);
      size += chunk.length;
      // An event that comes in many reads is put together once, not with each of them.
      if (size < needed) return;
      if (encoding === 'json' && begun.length > 1 && !chunk.includes(LINE_END)) return;
      let rest = begun.length === 1 ? chunk : Buffer.concat(begun, size);
      for (let frame = cut(rest); frame.end <= rest.length; frame = cut(rest)) {
        if (frame.contentEnd > frame.start) yield rest.subarray(frame.start, frame.contentEnd);
        rest = rest.subarray(frame.end);
      }
      needed = encoding === 'json' ? 0 : cut(rest).end;
      begun = rest.length === 0 ? [] : [rest];
      size = rest.length;
    },
    get isWithin() {
      return size > 0;
    },
  };
}

interface Frame {
  readonly start: number;
  readonly contentEnd: number;
  /** Beyond the octets while it is not complete. */
  readonly end: number;
}

function lineEnd(octets: Buffer): Frame {
  const at = octets.indexOf(LINE_END);
  return at < 0 ? INCOMPLETE : { start: 0, contentEnd: at, end: at + 1 };
}

function blockEnd(octets: Buffer): Frame {
  if (octets.length < LENGTH_OCTETS) return { start: 0, contentEnd: LENGTH_OCTETS, end: LENGTH_OCTETS + 1 };
  const length = octets.readUInt32BE(0);
  if (length > LARGEST) throw new Error(`the server announced an event of ${length} octets`);
  const end = LENGTH_OCTETS + length;
  return { start: LENGTH_OCTETS, contentEnd: end, end };
}

const INCOMPLETE: Frame = { start: 0, contentEnd: 0, end: Number.POSITIVE_INFINITY };
