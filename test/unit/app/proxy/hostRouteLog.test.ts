import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createHostRouteLog } from '../../../../src/app/proxy/hostRouteLog.js';
import type { Problem } from '../../../../src/kube/problems.js';

test('what fails is a problem until it is done, the whole or a single route', () => {
  let problems: readonly Problem[] = [];
  const take = createHostRouteLog({
    logger: pino({ level: 'silent' }),
    report: found => (problems = found.get('host routes') ?? problems),
  });
  take({ kind: 'adopted', count: 1 });
  expect(problems).toEqual([]);
  take({ kind: 'failed', failures: new Map([['10.96.0.0/12', 'EINVAL']]) });
  take({ kind: 'error', text: 'the kernel is away' });
  expect(problems).toEqual([
    { subject: 'routes to services', text: 'the kernel is away' },
    { subject: 'route to 10.96.0.0/12', text: 'EINVAL' },
  ]);
  take({ kind: 'written', set: ['10.97.0.0/16'], removed: [] });
  expect(problems).toEqual([{ subject: 'route to 10.96.0.0/12', text: 'EINVAL' }]);
  take({ kind: 'recovered', keys: ['10.96.0.0/12'] });
  expect(problems).toEqual([]);
  take({ kind: 'drift', keys: ['10.97.0.0/16'] });
  expect(problems).toEqual([]);
});
