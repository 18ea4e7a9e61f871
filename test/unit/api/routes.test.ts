import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ROUTES } from '../../../src/api/routes.js';

test('docs/api.md has every path, and no other', () => {
  const documented = [...readFileSync('docs/api.md', 'utf8').matchAll(/^\| `(GET|POST) (\S+)`/gm)];
  expect(documented.map(([, method, path]) => `${method} ${path}`).sort()).toEqual(
    ROUTES.map(({ method, path }) => `${method} ${path}`).sort(),
  );
});
