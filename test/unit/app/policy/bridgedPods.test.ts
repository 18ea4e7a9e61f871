import { expect, test } from '@jest/globals';
import { bridgeProblems, watchBridge } from '../../../../src/app/policy/bridgedPods.js';
import { AgentConfig } from '../../../../src/app/kubeConfig.js';
import type { ProblemReport } from '../../../../src/kube/problems.js';
import { VirtualClock } from '../../core/virtualClock.js';

const settings = (kubernetes: object = {}): AgentConfig['kubernetes'] => AgentConfig.parse({ kubernetes }).kubernetes;
const [V4, V6] = ['bridge/bridge-nf-call-iptables', 'bridge/bridge-nf-call-ip6tables'];

test.each<[string, object, Readonly<Record<string, string>>, readonly string[]]>([
  ['both on', {}, { [V4]: '1', [V6]: '1' }, []],
  ['no module', {}, {}, ['the kernel has no br_netfilter (modprobe br_netfilter)']],
  ['one off', {}, { [V4]: '1', [V6]: '0' }, ['net.bridge.bridge-nf-call-ip6tables is 0']],
  ['off for a family that is', { ipv6: false }, { [V4]: '1', [V6]: '0' }, []],
  ['no bridge of ours', { cni: { enabled: false } }, {}, []],
])('%s', (_what, kubernetes, values, begins) => {
  const found = bridgeProblems(settings(kubernetes), { read: name => values[name] });
  expect(found.map(({ text }) => text.slice(0, text.lastIndexOf(': ')))).toEqual(begins);
});

test('a module that comes later mends it', () => {
  const clock = new VirtualClock();
  const values = new Map<string, string>();
  const reports: ProblemReport[] = [];
  const stop = watchBridge({
    settings: settings(),
    switches: { read: name => values.get(name) },
    clock,
    report: found => reports.push(found),
  });
  for (const name of [V4, V6]) values.set(name, '1');
  clock.advance(60_000);
  expect(reports.map(report => [...report.values()].flat().length)).toEqual([1, 0]);
  stop();
  clock.advance(600_000);
  expect(reports).toHaveLength(2);
});
