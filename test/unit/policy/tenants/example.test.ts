import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
import { createTenantModel } from '../../../../src/policy/tenants/tenantModel.js';
import { derivedNumber } from '../../../../src/policy/tenants/tenantNumber.js';
import { batchBetween } from '../modelCluster.js';

test('examples/tenants is what it says', () => {
  const objects = parseAllDocuments(readFileSync('examples/tenants/namespaces.yaml', 'utf8')).map(
    document => document.toJS() as unknown,
  );
  const model = createTenantModel('n1', { global: new Set(), numbers: 'derived' });
  expect(model.apply(batchBetween([], objects)).problems.size).toBe(0);
  expect([...model.namespaces].map(([name, { number }]) => [name, number])).toEqual([
    ['shop', derivedNumber('shop')],
    ['shop-db', derivedNumber('shop')],
    ['monitoring', 0],
    ['legacy', 4711],
  ]);
});
