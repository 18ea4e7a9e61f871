/** A rolling update on the IPVS backend alone. */

import { openIpvsProxy } from '../../../src/proxy/ipvs/ipvsProxy.js';
import type { IpText } from '../../../src/kube/objectTypes.js';
import type { ProxyEvent } from '../../../src/proxy/proxyBackend.js';
import type { Backend, ProxyDelta } from '../../../src/proxy/proxyTypes.js';
import type { Namespace } from '../../../test/kernel/namespace.js';
import { deltaOf, SETTINGS } from '../../../test/kernel/proxyRig.js';
import {
  CLUSTER_IP,
  GRACEFUL_PERIOD,
  NODE_PORT,
  OUTER_IP,
  POD_PORT,
  rollingSuite,
  set,
  type RollingNode,
  type RollingPod,
} from './rollingUpdate.js';

const WAIT = 120_000;

export const rolling = rollingSuite('rolling', 900, WAIT, async node => {
  const events: ProxyEvent[] = [];
  const proxy = await node.inside(() => openIpvsProxy(event => events.push(event), { readBackInterval: 5000 }));
  if (typeof proxy === 'string') throw new Error(proxy);
  setSwitches(node);
  proxy.configure({ ...SETTINGS, ipv6: false, ipvs: { ...SETTINGS.ipvs, gracefulPeriod: GRACEFUL_PERIOD } });
  return {
    publish: async pods => {
      proxy.apply({ ...serviceOf(pods), addresses: ADDRESSES });
      await proxy.idle();
    },
    serving: async () => {
      proxy.begin();
      await proxy.idle();
    },
    retired: () => proxy.idle(),
    complaints: () =>
      events.flatMap(event => (event.kind === 'failed' || event.kind === 'error' ? [JSON.stringify(event)] : [])),
    end: () => proxy.stop(),
  } satisfies RollingNode;
});

/** As the agent sets them (src/app/proxy/proxySwitches.ts). */
function setSwitches(node: Namespace): void {
  set(node, 'net.ipv4.ip_forward=1', 'net.ipv4.vs.conntrack=1', 'net.ipv4.vs.expire_nodest_conn=1');
  set(node, 'net.ipv4.vs.expire_quiescent_template=1');
}

/** What the proxy's model makes of the slices: ready pods serve, and those that end do so only for who is there already. */
function serviceOf(pods: readonly RollingPod[]): ProxyDelta {
  const serving = pods.map(({ address, state }): Backend => ({
    address,
    port: POD_PORT,
    weight: 1,
    isLocal: true,
    state,
  }));
  return deltaOf([
    {
      family: 4,
      name: 'web',
      cluster: serving.filter(({ state }) => state === 'ready'),
      serving,
      frontends: [
        { address: CLUSTER_IP, port: 80 },
        { address: OUTER_IP, port: 80, kind: 'loadBalancer', masquerade: 'always' },
        { address: undefined, port: NODE_PORT, kind: 'nodePort', masquerade: 'always' },
      ],
    },
  ]);
}

const ADDRESSES: ProxyDelta['addresses'] = {
  set: new Map(
    [CLUSTER_IP, OUTER_IP].map(text => {
      const address = text as IpText;
      return [address, { address, family: 4, isClusterIp: text === CLUSTER_IP }];
    }),
  ),
  removed: new Set(),
};
