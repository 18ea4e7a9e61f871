import { expect, test } from '@jest/globals';
import type { DenialView } from '../../../src/api/policyView.js';
import { DENIAL_COLUMNS } from '../../../src/cli/showDenials.js';

const DENIAL: DenialView = {
  first: '2026-01-01T00:00:00.000Z',
  last: '2026-01-01T00:00:00.000Z',
  from: 'shop/web',
  fromAddress: '10.1.0.2',
  to: '192.0.2.1',
  toAddress: '192.0.2.1',
  port: '5432/tcp',
  direction: 'egress',
  reason: 'selected by NetworkPolicy shop/web, and no egress rule holds',
  packets: 3,
};

test('a denied connection in a line', () => {
  expect(DENIAL_COLUMNS.slice(1).map(({ value }) => value(DENIAL))).toEqual([
    'shop/web (10.1.0.2)',
    '192.0.2.1',
    '5432/tcp',
    '3',
    'egress',
    'selected by NetworkPolicy shop/web, and no egress rule holds',
  ]);
});
