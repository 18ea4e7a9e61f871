import { expect, test } from '@jest/globals';
import { Subject, VirtualTimeScheduler, of } from 'rxjs';
import { toEngineConfig } from '../../../src/app/config/engineConfig.js';
import { agentGraph } from '../../../src/app/graph.js';
import { AgentConfig } from '../../../src/app/kubeConfig.js';
import { createEngineComposer } from '../../../src/app/kubeEngine.js';
import type { Plane } from '../../../src/app/ordering.js';
import { formatPrefix } from '../../../src/core/ip.js';
import type { EngineConfig } from '../../../src/engine/engineTypes.js';
import type { SourceEvent } from '../../../src/kube/client/folder.js';
import type { ObjectBatch } from '../../../src/kube/objectBatch.js';
import { VirtualClock } from '../core/virtualClock.js';
import { batchOf, nodeN } from '../routing/cluster.js';
import { service, slice, there } from '../routing/serviceCluster.js';

/** The graph of n1 with one data plane. */
function withPlane(settleTime?: number) {
  const objects = new Subject<SourceEvent>();
  const scheduler = new VirtualTimeScheduler();
  const clock = new VirtualClock();
  const applied: EngineConfig[] = [];
  const released: string[] = [];
  const planes: Plane[] = [];
  const none = (): void => undefined;
  agentGraph({
    nodeName: 'n1',
    cniFile: undefined,
    objects,
    settings: of(AgentConfig.parse({ kubernetes: { advertise: { clusterIp: true } } })),
    compose: createEngineComposer(speaker => toEngineConfig(speaker, false)),
    sinks: {
      apply: config => applied.push(config),
      problems: none,
      ownNode: none,
      overlayOptions: none,
      overlay: none,
      plumbingOptions: none,
      plumbing: none,
      loadBalancer: none,
    },
    attachPlanes: ordering => planes.push(ordering.register('proxy', keys => released.push(...keys))),
    clock,
    scheduler,
    ...(settleTime === undefined ? {} : { settleTime }),
  }).subscribe();
  const [plane] = planes;
  if (plane === undefined) throw new Error('no plane was attached');
  return {
    plane,
    clock,
    scheduler,
    applied,
    released,
    tell: (batch: ObjectBatch) => objects.next({ batch, problems: new Map() }),
    announced: () => applied.at(-1)?.networks.map(({ prefix }) => formatPrefix(prefix)),
  };
}
const POD = '10.244.1.0/24';
const VIP = '10.96.0.10/32';
const cluster = batchOf('added', nodeN(1, { cidrs: [POD] }), service(), slice([there]));

test('BGP waits for the first look of the data planes, then an address waits for its own', () => {
  const { plane, tell, applied, announced } = withPlane();
  tell(cluster);
  expect(applied).toEqual([]);
  plane.synced();
  expect(announced()).toEqual([POD]);
  plane.programmed([VIP]);
  expect(announced()).toEqual([POD, VIP]);
});

test('what was programmed in time is in the first configuration', () => {
  const { plane, tell, applied, announced } = withPlane();
  tell(cluster);
  plane.programmed([VIP]);
  plane.synced();
  expect([applied.length, announced()]).toEqual([1, [POD, VIP]]);
});

test('a data plane that never says so does not hold up BGP for ever', () => {
  const { scheduler, tell, announced } = withPlane();
  tell(cluster);
  scheduler.flush();
  expect(announced()).toEqual([POD]);
});

test('how long traffic has to turn away is up to the configuration', () => {
  const { plane, tell, released, clock } = withPlane(90_000);
  tell(cluster);
  plane.programmed([VIP]);
  plane.synced();
  plane.retire([VIP]);
  clock.advance(89_999);
  expect(released).toEqual([]);
  clock.advance(1);
  expect(released).toEqual([VIP]);
});

test('an address is withdrawn before its data plane goes', () => {
  const { plane, tell, announced, released, clock } = withPlane();
  tell(cluster);
  plane.programmed([VIP]);
  plane.synced();
  plane.retire([VIP]);
  expect([announced(), released]).toEqual([[POD], []]);
  clock.advance(60_000);
  expect(released).toEqual([VIP]);
});
