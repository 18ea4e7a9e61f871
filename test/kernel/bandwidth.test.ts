/** Limits of pods on a real kernel: made, changed, adopted, repaired, taken out, and measured with TCP. Needs root. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { PodLimits } from '../../src/policy/bandwidth/podLimits.js';
import { buildBandwidthRig, type BandwidthRig } from './bandwidthRig.js';
import { measure, type Flow } from './bandwidthTraffic.js';

/** How often, before what is measured is believed to be wrong. */
const ROUNDS = 8;

let rig: BandwidthRig;
beforeEach(() => {
  rig = buildBandwidthRig('pkbw');
});
afterEach(async () => {
  await rig.close();
});

function limits(n: number, ingress: number | undefined, egress: number | undefined): [string, PodLimits] {
  const addresses = [`10.244.1.${n}`, `fd00:10:244:1::${n}`];
  return [`demo/p${n}`, { pod: `demo/p${n}`, addresses, ingress, egress }];
}

/** Kind and rate of the qdiscs of a link, and where its filters lead. */
function shown(link: string): string {
  const qdiscs = [...rig.tc(`qdisc show dev ${link}`).matchAll(/^qdisc (\w+) (\w+): (?:.* rate (\S+))?/gm)];
  const filters = [...rig.tc(`filter show dev ${link} ingress`).matchAll(/Redirect to device (\S+)\)/g)];
  const ours = qdiscs.filter(([, kind]) => kind !== 'noqueue');
  return [...ours.map(found => found.slice(1).filter(Boolean).join(' ')), ...filters.map(([, to]) => `to ${to}`)].join(
    ', ',
  );
}

function ifbs(): readonly string[] {
  return [...rig.node.ip('-o link show type ifb').matchAll(/^\d+: (\S+):/gm)].map(([, name]) => name!).sort();
}

function ifbOf(link: string): string {
  return `pgb${/^(\d+):/.exec(rig.node.ip(`-o link show ${link}`))![1]!}`;
}

describe('limits', () => {
  test('follow what is wanted, on ports of a bridge and on routed links', async () => {
    rig.addPod(5, 'bridge');
    rig.addPod(6, 'routed');
    const plane = rig.start();
    plane.update(new Map([limits(5, 10e6, 2e6), limits(6, undefined, 3e6)]), true);
    await plane.idle();
    expect(shown('veth5')).toBe(`tbf 7065 10Mbit, ingress ffff, to ${ifbOf('veth5')}`);
    expect(shown(ifbOf('veth5'))).toBe('tbf 7065 2Mbit');
    expect(shown('veth6')).toBe(`ingress ffff, to ${ifbOf('veth6')}`);
    expect(shown(ifbOf('veth6'))).toBe('tbf 7065 3Mbit');
    plane.update(new Map([limits(5, 20e6, undefined), limits(6, 1e6, 4e6)]), true);
    await plane.idle();
    expect(shown('veth5')).toBe('tbf 7065 20Mbit');
    expect(shown('veth6')).toBe(`tbf 7065 1Mbit, ingress ffff, to ${ifbOf('veth6')}`);
    expect(shown(ifbOf('veth6'))).toBe('tbf 7065 4Mbit');
    expect(ifbs()).toEqual([ifbOf('veth6')]);
    plane.update(
      new Map([
        ['demo/p5', undefined],
        ['demo/p6', undefined],
      ]),
      true,
    );
    await plane.idle();
    expect([shown('veth5'), shown('veth6'), ...ifbs()]).toEqual(['', '']);
    expect(rig.problems()).toEqual([]);
  });

  test('are adopted by the next process as they are, and those of nobody are taken out when all pods are known', async () => {
    rig.addPod(5, 'bridge');
    rig.addPod(6, 'bridge');
    const first = rig.start();
    first.update(new Map([limits(5, 10e6, 2e6), limits(6, 10e6, 2e6)]), true);
    await first.idle();
    await first.stop();
    const index = /^\d+/.exec(rig.node.ip(`-o link show ${ifbOf('veth5')}`))![0];
    const second = rig.start();
    second.update(new Map([limits(5, 10e6, 2e6)]), false);
    await second.idle();
    expect(shown('veth6')).toBe(`tbf 7065 10Mbit, ingress ffff, to ${ifbOf('veth6')}`);
    second.update(new Map(), true);
    await second.idle();
    expect(shown('veth6')).toBe('');
    expect(shown('veth5')).toBe(`tbf 7065 10Mbit, ingress ffff, to ${ifbOf('veth5')}`);
    expect(rig.node.ip(`-o link show ${ifbOf('veth5')}`)).toMatch(new RegExp(`^${index}:`));
  });

  test('that somebody breaks are mended, a missing device at once: its filter would drop everything', async () => {
    rig.addPod(5, 'bridge');
    const plane = rig.start();
    plane.update(new Map([limits(5, 10e6, 2e6)]), true);
    await plane.idle();
    const whole = shown('veth5');
    rig.tc('qdisc del dev veth5 root');
    rig.node.ip(`link del ${ifbOf('veth5')}`);
    await rig.until('the device and the bucket', () => shown('veth5') === whole && shown(ifbOf('veth5')) !== '');
    rig.node.ip(`link set ${ifbOf('veth5')} down`);
    await rig.until('the device up', () => rig.node.ip(`link show ${ifbOf('veth5')}`).includes('UP'));
  });

  test('come with a link that appears later, and go with it', async () => {
    const plane = rig.start();
    plane.update(new Map([limits(5, 10e6, 2e6)]), true);
    await plane.idle();
    rig.addPod(5, 'bridge');
    await rig.until('the bucket', () => shown('veth5').startsWith('tbf 7065 10Mbit, ingress'));
    const ifb = ifbOf('veth5');
    rig.node.ip('link del veth5');
    await rig.until('the end of its device', () => !ifbs().includes(ifb));
  });

  test('leave alone what somebody else has put there, and say so; the other direction works', async () => {
    rig.addPod(5, 'bridge');
    rig.addPod(6, 'bridge');
    rig.tc('qdisc add dev veth5 root handle 1: tbf rate 1mbit burst 10k latency 25ms');
    rig.tc('qdisc add dev veth6 ingress');
    rig.tc('filter add dev veth6 ingress protocol all pref 1 u32 match u32 0 0 action mirred egress redirect dev eth0');
    const plane = rig.start();
    plane.update(new Map([limits(5, 10e6, 2e6), limits(6, 10e6, 2e6)]), true);
    await plane.idle();
    expect(shown('veth5')).toBe(`tbf 1 1Mbit, ingress ffff, to ${ifbOf('veth5')}`);
    expect(shown('veth6')).toBe('tbf 7065 10Mbit, ingress ffff, to eth0');
    expect(rig.problems()).toEqual([
      'Pod demo/p5: annotation kubernetes.io/ingress-bandwidth is not in force: veth5 has a qdisc of somebody else (tbf 1:), which is left alone',
      'Pod demo/p6: annotation kubernetes.io/egress-bandwidth is not in force: veth6 has filters of somebody else for what comes in (u32, pref 1), which are left alone',
    ]);
    plane.update(
      new Map([
        ['demo/p5', undefined],
        ['demo/p6', undefined],
      ]),
      true,
    );
    await plane.idle();
    expect(shown('veth5')).toBe('tbf 1 1Mbit');
    expect(shown('veth6')).toBe('ingress ffff, to eth0');
    expect(rig.problems()).toEqual([]);
  });
});

describe('measured over ten seconds', () => {
  test('TCP has the rate that was asked for, to within 5 %, in both directions and families', async () => {
    const rate = 20e6;
    const pods = [5, 6, 7, 8].map((n, i) => ({ n, pod: rig.addPod(n, i % 2 === 0 ? 'bridge' : 'routed') }));
    const plane = rig.start();
    plane.update(new Map(pods.map(({ n }, i) => limits(n, i < 2 ? rate : undefined, i < 2 ? undefined : rate))), true);
    await plane.idle();
    const flows = pods.map(({ n, pod }, i): Flow => {
      const version = i % 2 === 0 ? 4 : 6;
      const address = version === 4 ? `10.244.1.${n}` : `fd00:10:244:1::${n}`;
      const far = version === 4 ? '10.0.0.2' : 'fd00::2';
      return i < 2
        ? { from: rig.world, to: pod, address, port: 7000 + n, seconds: 10 }
        : { from: pod, to: rig.world, address: far, port: 7000 + n, seconds: 10 };
    });
    const shareOf = async (flow: Flow): Promise<number> => {
      const { octets, seconds, frames } = await measure(flow);
      return (octets * frames * 8) / seconds / rate;
    };
    // Who sends or counts late, on a machine that is busy with other things, is measured again.
    let left: readonly (readonly [Flow, number])[] = flows.map(flow => [flow, NaN]);
    for (let round = 0; round < ROUNDS && left.length > 0; round++) {
      const measured = await Promise.all(left.map(async ([flow]) => [flow, await shareOf(flow)] as const));
      left = measured.filter(([, share]) => share < 0.95 || share > 1.05);
    }
    expect(left.map(([{ to, address }, share]) => `${to.name} ${address} ${share}`)).toEqual([]);
  }, 900_000);
});
