/** Objects as kube-apiserver 1.36 sends them, in both encodings: what we read of the two must be the same. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { readList, readStatusMessage, readWatchEvent } from '../../../../src/kube/client/answers.js';
import { createFrames } from '../../../../src/kube/client/framing.js';
import { parseItem } from '../../../../src/kube/objects.js';

const Kind = z.enum(['Node', 'Namespace', 'Service', 'EndpointSlice', 'Pod', 'NetworkPolicy', 'ServiceCIDR']);
const Golden = z.object({
  lists: z.array(z.object({ kind: Kind, json: z.unknown(), protobuf: z.base64() })),
  watch: z.object({ kind: Kind, json: z.array(z.unknown()), protobuf: z.base64() }),
  status: z.base64(),
});
const golden = Golden.parse(JSON.parse(readFileSync(new URL('golden.json', import.meta.url), 'utf8')));

function listed(kind: z.infer<typeof Kind>, octets: Buffer, encoding: 'json' | 'protobuf') {
  const list = readList(kind, octets, encoding);
  if (typeof list === 'string') throw new Error(list);
  return { ...list, items: list.items.map(item => parseItem(kind, item)) };
}

describe.each(golden.lists.map((list, i) => ({ ...list, title: `${list.kind} (${i})` })))('$title', list => {
  test('means the same in both encodings', () => {
    const ofJson = listed(list.kind, Buffer.from(JSON.stringify(list.json)), 'json');
    expect(ofJson.items.map(item => item.ok)).toEqual([true]);
    expect(listed(list.kind, Buffer.from(list.protobuf, 'base64'), 'protobuf')).toEqual(ofJson);
  });

  test('cut off anywhere is no list and no exception', () => {
    const octets = Buffer.from(list.protobuf, 'base64');
    for (let length = 0; length < octets.length; length++) {
      // The envelope's last fields are empty: without them it says the same.
      const cut = readList(list.kind, octets.subarray(0, length), 'protobuf');
      if (typeof cut !== 'string') expect(length).toBeGreaterThanOrEqual(octets.length - 4);
    }
  });
});

test('every kind is among them', () => {
  expect(new Set(golden.lists.map(list => list.kind))).toEqual(new Set(Kind.options));
});

test('events of a watch, cut at every octet', () => {
  const { kind, json, protobuf } = golden.watch;
  const octets = Buffer.from(protobuf, 'base64');
  for (let cut = 0; cut <= octets.length; cut++) {
    const frames = createFrames('protobuf');
    const events = [octets.subarray(0, cut), octets.subarray(cut)].flatMap(part =>
      [...frames.push(part)].map(frame => readWatchEvent(kind, frame, 'protobuf')),
    );
    expect(events.map(event => [event?.type, event && parseItem(kind, event.object)])).toEqual(
      json.map(line => {
        const event = readWatchEvent(kind, Buffer.from(JSON.stringify(line)), 'json');
        return [event?.type, event && parseItem(kind, event.object)];
      }),
    );
    expect(frames.isWithin).toBe(false);
  }
});

test('a refusal says why', () => {
  expect(readStatusMessage(Buffer.from(golden.status, 'base64'), 'protobuf')).toMatch(/^invalid continue token/);
  expect(readStatusMessage(Buffer.from('<html>'), 'protobuf')).toBeUndefined();
});
