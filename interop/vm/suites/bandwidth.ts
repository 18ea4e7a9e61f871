/**
 * Bandwidth of pods where the kernel has no `u32`: a filter of `matchall` leads what a pod sends to its device, is found again
 * by the next process, and goes with the limit.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import type { BandwidthPlane } from '../../../src/app/bandwidth/bandwidthPlane.js';
import type { PodLimits } from '../../../src/policy/bandwidth/podLimits.js';
import { buildBandwidthRig, type BandwidthRig } from '../../../test/kernel/bandwidthRig.js';
import type { Namespace } from '../../../test/kernel/namespace.js';
import { vmSuite } from '../suite.js';

/** Where the kernel says which program it asks for modules. */
const MODPROBE = '/proc/sys/kernel/modprobe';
const WITHOUT_U32 = '/run/bin/modprobe-without-u32';
const POD = 'demo/p5';

interface World {
  readonly rig: BandwidthRig;
  readonly pod: Namespace;
  plane: BandwidthPlane;
}

let opened: World | undefined;
let usual = '';

function world(): World {
  if (opened === undefined) throw new Error('the rig does not stand');
  return opened;
}

function wanted(egress: number | undefined): ReadonlyMap<string, PodLimits | undefined> {
  const addresses = ['10.244.1.5', 'fd00:10:244:1::5'];
  const limits = { pod: POD, addresses, ingress: undefined, egress };
  return new Map([[POD, egress === undefined ? undefined : limits]]);
}

const filters = (): string => world().rig.tc('filter show dev veth5 ingress');
const devices = (): string => world().rig.node.ip('-o link show type ifb');

/** The kernel's requests for the classifier find nothing, as where nobody built it. */
function takeU32Away(): void {
  usual = readFileSync(MODPROBE, 'utf8').trim();
  writeFileSync(WITHOUT_U32, `#!/bin/bash\n[[ "$*" == *cls*u32* ]] && exit 1\nexec ${usual} "$@"\n`);
  chmodSync(WITHOUT_U32, 0o755);
  writeFileSync(MODPROBE, WITHOUT_U32);
  assert.ok(!readFileSync('/proc/modules', 'utf8').includes('cls_u32 '), 'cls_u32 is loaded already');
}

export const bandwidth = vmSuite('bandwidth', 600, ({ check, prepare, cleanup }) => {
  prepare('a node with a pod, and a kernel without u32', () => {
    takeU32Away();
    const rig = buildBandwidthRig('pvmbw');
    opened = { rig, pod: rig.addPod(5, 'bridge'), plane: rig.start() };
  });

  check('matchall leads what a pod sends to its device', async () => {
    const { rig, plane, pod } = world();
    plane.update(wanted(2e6), true);
    await plane.idle();
    assert.deepEqual(rig.problems(), []);
    assert.match(filters(), /matchall[\s\S]*Redirect to device pgb\d+/);
    const device = /(pgb\d+)\)/.exec(filters())?.[1] ?? '';
    assert.match(rig.tc(`qdisc show dev ${device}`), /^qdisc tbf .* rate 2Mbit /);
    execFileSync('ip', ['netns', 'exec', pod.name, 'ping', '-c', '3', '-i', '0.2', '-w', '60', '10.0.0.2']);
    const [, packets = '0'] = /Sent \d+ bytes (\d+) pkt/.exec(rig.tc(`-s qdisc show dev ${device}`)) ?? [];
    assert.ok(Number(packets) >= 3, `${packets} packets passed the bucket`);
  });

  check('the next process finds it, and leaves it as it is', async () => {
    const { rig, plane } = world();
    const before = [filters(), devices()];
    await plane.stop();
    const next = rig.start();
    world().plane = next;
    next.update(wanted(2e6), true);
    await next.idle();
    assert.deepEqual([filters(), devices()], before);
    assert.deepEqual(rig.problems(), []);
  });

  check('it goes with the limit', async () => {
    const { rig, plane } = world();
    plane.update(wanted(undefined), true);
    await plane.idle();
    assert.deepEqual([filters(), devices()], ['', '']);
    assert.deepEqual(rig.problems(), []);
  });

  cleanup('the rig, and modules as they were', async () => {
    writeFileSync(MODPROBE, usual);
    await opened?.rig.close();
    opened = undefined;
  });
});
