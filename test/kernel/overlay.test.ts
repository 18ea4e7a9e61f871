/** The overlay against the real kernel, with real packets between two racks. VXLAN only: this kernel has no IPIP. Needs root. */

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeRacks, NODES, ping, podOf, run, type Racks } from './overlayRacks.js';

let racks: Racks;
beforeEach(() => {
  racks = makeRacks('pkov');
});
afterEach(() => racks.close());

async function startBoth(): Promise<void> {
  for (const node of [racks.a, racks.b]) {
    await node.start();
    await node.route();
  }
}

describe('packets', () => {
  test('pods of both families reach each other with whole packets, which no router may fragment', async () => {
    expect(ping(racks.a.pod, podOf('b', 4), 100, 1)).toBe(false);
    await startBoth();
    expect(ping(racks.a.pod, podOf('b', 4), 1450)).toBe(true);
    expect(ping(racks.a.pod, podOf('b', 6), 1430)).toBe(true);
    expect(ping(racks.a.pod, podOf('b', 4), 1451, 1)).toBe(false);
    // The router has no part in it: it knows no pods.
    expect(run(racks.router, 'ip route get 10.244.2.5').ok).toBe(false);
  });

  test('nodes and pods reach each other too, with strict reverse-path filtering', async () => {
    await startBoth();
    expect(ping(racks.a.ns, podOf('b', 4), 1450)).toBe(true);
    expect(ping(racks.a.ns, podOf('b', 6), 1430)).toBe(true);
    expect(ping(racks.a.pod, NODES.b.v4, 1450)).toBe(true);
    expect(ping(racks.a.pod, NODES.b.v6, 1430)).toBe(true);
  });
});
