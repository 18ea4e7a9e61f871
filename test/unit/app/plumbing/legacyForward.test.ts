/** The FORWARD chain of legacy iptables: opened where it drops, left alone where it does not, closed again. */

import { expect, test } from '@jest/globals';
import { closeLegacyForward, openLegacyForward } from '../../../../src/app/plumbing/legacyForward.js';
import { openLegacyIptables, parseForward, type LegacyIptables } from '../../../../src/kernel/legacyForward.js';

/** A machine with this in its chain for IPv4, as iptables 1.8.9 prints it, and no table for IPv6. */
function machine(text: string | undefined): LegacyIptables & { readonly lines: () => readonly string[] } {
  let lines = text?.split('\n') ?? [];
  const printed = (rule: readonly string[]): string =>
    `-A FORWARD ${rule.map(word => (word.includes(' ') ? `"${word}"` : word)).join(' ')}`;
  return {
    lines: () => lines,
    forward: version =>
      Promise.resolve(version === 6 || text === undefined ? undefined : parseForward(lines.join('\n'))),
    change: (_version, command, rule) => {
      lines = command === 'append' ? [...lines, printed(rule)] : lines.filter(line => line !== printed(rule));
      return Promise.resolve();
    },
  };
}

const DOCKER = '-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -i docker0 -o docker0 -j ACCEPT';
const OURS = (direction: string): string =>
  `-A FORWARD ${direction} kube-bridge -m comment --comment "peerage: pods of this node" -j ACCEPT`;

test('policy DROP is opened at its end, once, and closed again', async () => {
  const iptables = machine(DOCKER);
  expect(await openLegacyForward(iptables, 'kube-bridge', true)).toEqual({
    opened: ['FORWARD of legacy iptables'],
    complaints: [],
  });
  expect(iptables.lines()).toEqual([...DOCKER.split('\n'), OURS('-i'), OURS('-o')]);
  expect((await openLegacyForward(iptables, 'kube-bridge', true)).opened).toEqual([]);
  expect(await closeLegacyForward(iptables)).toEqual(['FORWARD of legacy iptables']);
  expect(iptables.lines().join('\n')).toBe(DOCKER);
  expect(await closeLegacyForward(iptables)).toEqual([]);
});

test('where it may not be opened it is named', async () => {
  const iptables = machine(DOCKER);
  const { complaints } = await openLegacyForward(iptables, 'kube-bridge', false);
  expect(complaints).toEqual([expect.stringMatching(/^chain FORWARD of legacy iptables drops packets by policy/)]);
  expect(iptables.lines().join('\n')).toBe(DOCKER);
});

test.each([
  ['no table', undefined],
  ['policy ACCEPT', '-P FORWARD ACCEPT'],
  [
    'rules of kube-router',
    '-P FORWARD DROP\n-A FORWARD -i kube-bridge -m comment --comment "allow inbound" -j ACCEPT\n-A FORWARD -o kube-bridge -j ACCEPT',
  ],
])('%s: nothing to do', async (_name, text) => {
  const iptables = machine(text);
  expect(await openLegacyForward(iptables, 'kube-bridge', true)).toEqual({ opened: [], complaints: [] });
  expect(await closeLegacyForward(iptables)).toEqual([]);
});

test('a table is asked for only where there is one, and a missing program is no failure', async () => {
  const program = ['/nonexistent/program'];
  await expect(openLegacyIptables(program, () => 'nat\n').forward(4)).resolves.toBeUndefined();
  await expect(openLegacyIptables(program, () => 'nat\nfilter\n').forward(4)).resolves.toBeUndefined();
  await expect(openLegacyIptables(['false'], () => 'filter\n').forward(4)).rejects.toThrow(/Command failed/);
});
