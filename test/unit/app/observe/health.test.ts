import { describe, expect, test } from '@jest/globals';
import { concernsAll, liveness, readiness, STUCK_AFTER } from '../../../../src/app/observe/health.js';

const FINE = { silence: { 'BGP engine': 10 }, hindrances: [], configured: true };
const AWAY = { ...FINE, hindrances: [{ subject: 'API server https://k', text: 'connection refused' }] };

describe('health', () => {
  test.each([
    ['all is well', liveness(FINE), 200, 'ok', []],
    ['the API server is away', liveness(AWAY), 200, 'degraded', ['API server https://k: connection refused']],
    ['nearly stuck', liveness({ ...FINE, silence: { 'BGP engine': STUCK_AFTER - 1 } }), 200, 'ok', []],
    [
      'the engine hangs',
      liveness({ ...AWAY, silence: { 'BGP engine': 31_000 } }),
      500,
      'stuck',
      ['BGP engine: no sign of life for 31 s'],
    ],
    ['ready', readiness(FINE), 200, 'ok', []],
    ['ready on its last good state', readiness(AWAY), 200, 'degraded', ['API server https://k: connection refused']],
    [
      'not configured',
      readiness({ ...FINE, configured: false }),
      503,
      'waiting',
      ['router: waits for its configuration'],
    ],
    [
      'stuck before it was configured',
      readiness({ ...FINE, configured: false, silence: { 'BGP engine': 40_000 } }),
      500,
      'stuck',
      ['BGP engine: no sign of life for 40 s'],
    ],
  ])('%s', (_, answer, status, word, parts) => {
    expect(answer).toEqual({ status, body: { status: word, parts } });
  });

  test.each([
    ['API server Node', true],
    ['own node', true],
    ['overlay', true],
    ['object Pod/demo/web', false],
    ['overlay node-2', false],
  ])('problems of %s concern all: %s', (owner, isSo) => {
    expect(concernsAll(owner)).toBe(isSo);
  });
});
