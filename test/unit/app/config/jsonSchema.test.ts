import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { jsonSchemaText } from '../../../../src/app/config/jsonSchema.js';

/** Every key that may stand in a configuration, wherever. */
function keysIn(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(keysIn);
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([name, value]) =>
    name === 'properties'
      ? [...Object.keys(value as object), ...Object.values(value as object).flatMap(keysIn)]
      : keysIn(value),
  );
}

test('docs/config.schema.json is up to date (npm run schema)', () => {
  expect(readFileSync('docs/config.schema.json', 'utf8')).toBe(jsonSchemaText());
});

test('docs/configuration.md and docs/policy.md say something of every key', () => {
  const text = ['configuration', 'policy'].map(name => readFileSync(`docs/${name}.md`, 'utf8')).join('');
  const keys = [...new Set(keysIn(JSON.parse(jsonSchemaText())))];
  expect(keys.length).toBeGreaterThan(50);
  expect(keys.filter(key => !text.includes(`\`${key}\``))).toEqual([]);
});
