/** The lab's pods `web` at work: each answers on port 8080 at its addresses of both families. Impure. */

import { PodServers } from '../traffic/podServers.js';
import type { LabCluster, LabPod } from '../cluster.js';
import type { Topology } from '../topology/topology.js';

export class WebPods {
  private constructor(
    readonly pods: readonly LabPod[],
    private readonly servers: ReadonlyMap<LabPod, PodServers>,
  ) {}

  static async start(topology: Topology, cluster: LabCluster): Promise<WebPods> {
    for (const { name, pods } of cluster.nodes) {
      // Told of shorter ways, hosts would go past the node that has to turn answers round.
      await topology.sysctl(name, 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.cni0.send_redirects=0');
      for (const pod of pods) await leadThroughNode(topology, pod);
    }
    const web = cluster.nodes.flatMap(({ pods }) => pods).filter(({ name }) => name.startsWith('web-'));
    const started = new WebPods(web, new Map(web.map(pod => [pod, new PodServers(topology.name(pod.name))])));
    topology.beforeClose(() => started.end());
    for (const pod of web) await started.open(pod);
    return started;
  }

  async open(pod: LabPod): Promise<void> {
    for (const address of pod.addresses) await this.servers.get(pod)?.open(address);
  }

  /** @returns how many connections it cut */
  async close(pod: LabPod): Promise<number> {
    let cut = 0;
    for (const address of pod.addresses) cut += (await this.servers.get(pod)?.close(address))?.cut ?? 0;
    return cut;
  }

  private async end(): Promise<void> {
    await Promise.all([...this.servers.values()].map(servers => servers.end()));
  }
}

/** As many CNI plugins have it: nothing is a pod's neighbour but its node, which sees what passes between its pods. */
async function leadThroughNode(topology: Topology, pod: LabPod): Promise<void> {
  await topology.sysctl(
    pod.name,
    'net.ipv4.conf.all.accept_redirects=0',
    'net.ipv4.conf.eth0.accept_redirects=0',
    'net.ipv6.conf.eth0.accept_redirects=0',
  );
  for (const family of ['-4', '-6'] as const) {
    const lines = (await topology.ip(pod.name, family, 'route')).split('\n');
    const gateway = /^default via (\S+)/m.exec(lines.join('\n'))?.[1];
    const network = lines.find(line => line.includes('proto kernel') && !line.startsWith('fe80'))?.split(' ')[0];
    if (gateway === undefined || network === undefined) continue;
    await topology.ip(pod.name, family, 'route', 'add', gateway, 'dev', 'eth0');
    await topology.ip(pod.name, family, 'route', 'del', network, 'dev', 'eth0');
  }
}
