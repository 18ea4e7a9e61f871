import { expect, test } from '@jest/globals';
import { listLimits } from '../../../../src/app/bandwidth/limitsView.js';
import type { BandwidthState } from '../../../../src/app/bandwidth/bandwidthPlane.js';
import type { HostLink, PodLink } from '../../../../src/kernel/podLinks.js';
import { TC_H_ROOT, type Qdisc } from '../../../../src/kernel/tc.js';
import { planLinks } from '../../../../src/policy/bandwidth/linkPlan.js';
import { OUR_HANDLE } from '../../../../src/policy/bandwidth/linkState.js';

function podLink(ifindex: number): PodLink {
  return { ifindex, name: `veth${ifindex}`, mtu: 1500, bridge: null, by: 'namespace' };
}
function hostLink(index: number, name: string): HostLink {
  return { index, name, mtu: 1500, up: true, kind: '', master: null, peer: null };
}
function qdisc(ifindex: number, handle: number, octets: number): Qdisc {
  const counters = { octets, packets: 1, dropped: 2, waiting: 3 };
  return { ifindex, handle, parent: TC_H_ROOT, kind: 'tbf', bucket: undefined, counters };
}

test('limits are listed by pod and direction, each with the counters of its own bucket', () => {
  const web = { pod: 'demo/web', addresses: ['10.1.0.5'], ingress: 10e6, egress: 2e6 };
  const api = { pod: 'demo/api', addresses: ['10.1.0.6'], ingress: undefined, egress: 1e6 };
  const lost = { pod: 'demo/lost', addresses: ['10.1.0.7'], ingress: 1e6, egress: undefined };
  const pods = new Map([web, api, lost].map(limits => [limits.pod, limits]));
  const links = new Map([
    ['10.1.0.5', podLink(7)],
    ['10.1.0.6', podLink(8)],
  ]);
  const state: BandwidthState = {
    pods,
    plan: planLinks(pods.values(), links),
    failures: new Map([['8 egress', 'in the way']]),
    isInForce: key => key !== '8 egress',
  };
  const rows = listLimits(state, {
    links: [hostLink(7, 'veth7'), hostLink(8, 'veth8'), hostLink(20, 'pgb7')],
    qdiscs: [qdisc(7, OUR_HANDLE, 100), qdisc(20, OUR_HANDLE, 200), qdisc(8, 0x1_0000, 300)],
  });
  const counted = { packets: 1, dropped: 2, waiting: 3 };
  const nothing = { octets: null, packets: null, dropped: null, waiting: null };
  const calm = { state: 'in force', reason: null };
  expect(rows).toEqual([
    {
      pod: 'demo/api',
      direction: 'egress',
      limit: 1e6,
      link: 'veth8',
      state: 'failed',
      reason: 'in the way',
      ...nothing,
    },
    { pod: 'demo/lost', direction: 'ingress', limit: 1e6, link: null, state: 'pending', reason: null, ...nothing },
    { pod: 'demo/web', direction: 'ingress', limit: 10e6, link: 'veth7', ...calm, octets: 100, ...counted },
    { pod: 'demo/web', direction: 'egress', limit: 2e6, link: 'veth7', ...calm, octets: 200, ...counted },
  ]);
});
