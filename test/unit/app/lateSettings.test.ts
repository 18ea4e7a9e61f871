import { expect, test } from '@jest/globals';
import { AgentConfig } from '../../../src/app/kubeConfig.js';
import { lateChanges } from '../../../src/app/lateSettings.js';

const first = AgentConfig.parse({});

test.each<[config: object, late: readonly string[]]>([
  [{}, []],
  [{ kubernetes: { proxy: { masqueradeAll: true } } }, []],
  [{ rib: { expectedRoutes: { 'ipv4-unicast': 100_000 } } }, ['rib']],
  [
    { kubernetes: { proxy: { healthPort: 0, healthAddress: '127.0.0.1' } } },
    ['kubernetes.proxy.healthPort', 'kubernetes.proxy.healthAddress'],
  ],
  [{ kubernetes: { proxy: { ipvs: { runtimeEndpoint: '/run/x' } } } }, ['kubernetes.proxy.ipvs.runtimeEndpoint']],
])('%j waits for a restart: %j', (config, late) => {
  expect(lateChanges(first, AgentConfig.parse(config))).toEqual(late);
});
