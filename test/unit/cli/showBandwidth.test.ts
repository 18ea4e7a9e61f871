import { expect, test } from '@jest/globals';
import type { PodLimitView } from '../../../src/api/bandwidthView.js';
import { BANDWIDTH_COLUMNS } from '../../../src/cli/showBandwidth.js';

const ROW: PodLimitView = {
  pod: 'demo/web',
  direction: 'ingress',
  limit: 10e6,
  link: 'veth1',
  state: 'in force',
  reason: null,
  octets: 1514,
  packets: 1,
  dropped: 0,
  waiting: 0,
};
const NOTHING = { octets: null, packets: null, dropped: null, waiting: null };

function line(row: PodLimitView): string {
  return BANDWIDTH_COLUMNS.map(({ value }) => value(row)).join(' | ');
}

test.each([
  ['in force', ROW, 'demo/web | ingress | 10Mbit/s | veth1 | 1514 | 0 | 0 | in force'],
  [
    'without a link',
    { ...ROW, ...NOTHING, direction: 'egress', limit: 1_500_000, link: null, state: 'pending' },
    'demo/web | egress | 1500kbit/s | - | - | - | - | pending',
  ],
  [
    'that failed',
    { ...ROW, ...NOTHING, limit: 1234, state: 'failed', reason: 'in the way' },
    'demo/web | ingress | 1234bit/s | veth1 | - | - | - | failed: in the way',
  ],
] as const)('a limit %s is a line', (_name, row, expected) => {
  expect(line(row)).toBe(expected);
});
