/** The quick way and the schemas must agree: objects as they are, and with anything in any place of them. */

import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { endpointSlice, namespace, node, pod, service } from '../../../src/kube/objectSchemas.js';
import { ordinary } from '../../../src/kube/ordinary.js';

const SCHEMAS = { Node: node, Namespace: namespace, Service: service, EndpointSlice: endpointSlice, Pod: pod };
const Golden = z.object({
  lists: z.array(z.object({ kind: z.string(), json: z.object({ items: z.array(z.record(z.string(), z.unknown())) }) })),
});
const golden = Golden.parse(
  JSON.parse(readFileSync(new URL('protobuf/golden.json', import.meta.url), 'utf8')),
).lists.flatMap(({ kind, json }) => {
  const known = z.enum(['Node', 'Namespace', 'Service', 'EndpointSlice', 'Pod']).safeParse(kind);
  return known.success ? json.items.map((item, i) => ({ kind: known.data, item, title: `${kind} ${i}` })) : [];
});

type Path = readonly (string | number)[];

/** Every place in a value, itself left out. */
function pathsOf(value: unknown, here: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [];
  const places = Array.isArray(value) ? value.map((_, i) => i) : Object.keys(value);
  return places.flatMap(place => {
    const path = [...here, place];
    return [path, ...pathsOf((value as Record<string | number, unknown>)[place], path)];
  });
}

function withValue(value: unknown, [place, ...rest]: Path, what: unknown): unknown {
  if (place === undefined) return what;
  if (Array.isArray(value)) return value.map((item: unknown, i) => (i === place ? withValue(item, rest, what) : item));
  const record = value as Record<string, unknown>;
  const next = withValue(record[place], rest, what);
  return Object.fromEntries(Object.entries({ ...record, [place]: next }).filter(([, one]) => one !== undefined));
}

const ANYTHING = fc.constantFrom<unknown>(
  ...[undefined, null, '', 'x', 'None', 'Local', 'UDP', 'IPv6', 'FQDN', true, false, 0, 1, -1, 1.5, 70_000, {}, []],
  ...['10.0.0.1', '10.0.0.01', '256.1.1.1', '1.2.3', 'fd00::1', 'FD00::0001', '10.0.0.0/8', '10.1.1.1/8', 'fd00::/8'],
  ...[['10.0.0.1'], ['a', ''], [{ name: 'z' }], { a: 'b' }, { a: 1 }, { clientIP: { timeoutSeconds: 5 } }],
);

describe.each(golden)('$title', ({ kind, item }) => {
  const paths = pathsOf(item);
  test('with anything anywhere', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...paths), ANYTHING), { maxLength: 3 }), changes => {
        const json = changes.reduce<unknown>((value, [path, what]) => {
          const isThere = path
            .slice(0, -1)
            .reduce<unknown>((at, place) => (at as Record<string, unknown> | undefined)?.[place], value);
          return typeof isThere === 'object' && isThere !== null ? withValue(value, path, what) : value;
        }, item);
        const quick = ordinary(kind, json as Record<string, unknown>, 'somewhere');
        if (quick === undefined) return;
        const schema: z.ZodType = SCHEMAS[kind];
        const parsed = schema.safeParse(json);
        expect(parsed.success).toBe(true);
        expect({ ...(parsed.data as object), namespace: 'somewhere' }).toEqual(quick);
      }),
      { numRuns: 1500 },
    );
  });

  test('is read the quick way as it is', () => {
    const isRare = JSON.stringify(item).includes('ClientIP');
    expect(ordinary(kind, item, '') === undefined).toBe(isRare);
  });
});
