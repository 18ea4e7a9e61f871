/** Nodes that may hold one egress address, an API server, and a network that is cut here and there: in virtual time. */

import { pino } from 'pino';
import { HOLDER_LEASE, watchHolders, type HolderWatch } from '../../../../src/app/egressAddresses/watchHolders.js';
import type { Word } from '../../../../src/app/egressAddresses/holderFence.js';
import { formatAddress, ipv4, type IpAddress } from '../../../../src/core/ip.js';
import { ApiError } from '../../../../src/kube/client/apiConnection.js';
import type { ApiWriter } from '../../../../src/kube/client/apiWriter.js';
import { EGRESS_NODE, holderOf } from '../../../../src/policy/egress/egressClaims.js';
import { lostNodes } from '../../../../src/policy/egress/lostNodes.js';
import { VirtualClock } from '../../core/virtualClock.js';
import { settled } from '../loadBalancer/fakeCluster.js';

export const LEASE = `/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/${HOLDER_LEASE}`;
export const NAMESPACE = '/api/v1/namespaces/kube-system';
const ADDRESS = '192.0.2.7';
/** Milliseconds: of a request that nobody answers, of questions to machines, and until a node is called not Ready. */
const [TIMEOUT, EXAMINATION, QUESTION, GRACE] = [3000, 2000, 1100, 40_000];
/** Milliseconds from one look of the world to the next. */
const STEP = 100;

type Annotations = Readonly<Record<string, string | null>>;

interface Agent {
  readonly watch: HolderWatch;
  /** Nodes that hold addresses, and those that are gone, as its watch told. */
  eligible: ReadonlySet<string>;
  lost: ReadonlySet<string>;
  isShut: boolean;
}

export class World {
  readonly clock = new VirtualClock();
  /** Annotations by path of the object. */
  readonly objects = new Map<string, Record<string, string>>([[NAMESPACE, {}]]);
  /** Nodes that cannot reach the API server. */
  readonly cutOff = new Set<string>();
  /** Machines that no other reaches; who is in both sets has no network at all but to its routers. */
  readonly off = new Set<string>();
  /** Nodes whose watches tell them nothing, though they may ask the server. */
  readonly behind = new Set<string>();
  /** Nodes whose requests are refused. */
  readonly refused = new Set<string>();
  /** Nodes whose requests are answered late, though in time. */
  readonly late = new Set<string>();
  /** Nodes whose kubelet is dead. */
  readonly unready = new Set<string>();
  readonly problems = new Map<string, string>();
  readonly agents = new Map<string, Agent>();
  readonly candidates: ReadonlyMap<string, readonly IpAddress[]>;
  /** Instants at which more than one node announced the address. */
  readonly doubles: string[] = [];
  requests = 0;
  /** When kubelet of each node was heard of last. */
  private readonly kubelets = new Map<string, number>();

  constructor(...names: readonly string[]) {
    this.candidates = new Map(names.map((name, i) => [name, [ipv4(0x0a00_0001 + i)]]));
    for (const name of names) this.start(name);
  }

  start(name: string): void {
    const watch = watchHolders({
      writer: this.writer(name),
      nodeName: name,
      namespace: 'kube-system',
      clock: this.clock,
      wallClock: () => this.clock.now(),
      logger: pino({ level: 'silent' }),
      report: found => {
        const [first] = found.get('egress holders') ?? [];
        if (first === undefined) this.problems.delete(name);
        else this.problems.set(name, first.text);
      },
      answers: async address => (await this.question(name, [address], EXAMINATION)) !== 'silent',
      ask: addresses => this.question(name, addresses, QUESTION),
      shut: isShut => {
        const agent = this.agents.get(name);
        if (agent !== undefined) agent.isShut = isShut;
      },
    });
    this.agents.set(name, { watch, eligible: new Set(), lost: new Set(), isShut: false });
    this.tell(name);
  }

  get lost(): readonly string[] {
    return lostNodes({ annotations: this.objects.get(NAMESPACE)! });
  }

  /** Who announces the address at this moment. */
  get announcing(): readonly string[] {
    return [...this.agents].flatMap(([name, { eligible, isShut }]) =>
      !isShut && holderOf(eligible, ADDRESS) === name ? [name] : [],
    );
  }

  async pass(seconds: number): Promise<void> {
    for (let i = 0; i < (seconds * 1000) / STEP; i++) {
      this.clock.advance(STEP);
      await settled();
      this.beat();
      for (const name of this.agents.keys()) if (!this.cutOff.has(name) && !this.behind.has(name)) this.tell(name);
      if (this.announcing.length > 1) this.doubles.push(`${this.clock.now()}: ${this.announcing.join(' ')}`);
    }
  }

  async die(name: string): Promise<void> {
    const ending = this.agents.get(name)?.watch.stop();
    this.agents.delete(name);
    await this.pass((TIMEOUT + STEP) / 1000);
    await ending;
  }

  private get ready(): ReadonlySet<string> {
    const now = this.clock.now();
    return new Set(
      [...this.candidates.keys()].filter(
        name => !this.unready.has(name) && now - (this.kubelets.get(name) ?? 0) < GRACE,
      ),
    );
  }

  /** Kubelets tell that they are there every ten seconds. */
  private beat(): void {
    const now = this.clock.now();
    for (const name of this.candidates.keys())
      if (!this.cutOff.has(name) && !this.unready.has(name) && now - (this.kubelets.get(name) ?? 0) >= 10_000)
        this.kubelets.set(name, now);
  }

  private tell(name: string): void {
    const agent = this.agents.get(name)!;
    agent.lost = new Set(this.lost);
    agent.eligible = new Set([...this.ready].filter(node => !agent.lost.has(node)));
    agent.watch.update({ candidates: this.candidates, lost: agent.lost, eligible: agent.eligible });
  }

  private async question(from: string, addresses: readonly IpAddress[], patience: number): Promise<Word> {
    const [address] = addresses.map(formatAddress);
    const [to = ''] = [...this.candidates].find(([, [own]]) => formatAddress(own!) === address) ?? [];
    const until = this.clock.now() + patience;
    while (this.clock.now() < until) {
      if (!this.off.has(from) && !this.off.has(to))
        return this.agents.get(to)?.watch.isDeaf === true ? 'deaf' : 'there';
      await this.sleep(STEP);
    }
    return 'silent';
  }

  private sleep(milliseconds: number): Promise<void> {
    return new Promise(resolve => {
      this.clock.setTimeout(resolve, milliseconds);
    });
  }

  private writer(who: string): ApiWriter {
    return {
      close: () => undefined,
      ask: async (method, path, body) => {
        await Promise.resolve();
        this.requests += 1;
        if (this.cutOff.has(who)) {
          await this.sleep(TIMEOUT);
          throw new ApiError(undefined, 'no answer');
        }
        if (this.late.has(who)) await this.sleep(TIMEOUT - STEP);
        if (this.refused.has(who) && method !== 'GET') throw new ApiError(403, '403: forbidden');
        if (method === 'GET') return { items: [...this.candidates.keys()].map(name => this.nodeObject(name)) };
        const { name, annotations } = (body as { metadata: { name?: string; annotations: Annotations } }).metadata;
        const target = method === 'POST' ? `${path}/${name}` : path;
        const stored = this.objects.get(target) ?? (method === 'POST' ? {} : undefined);
        if (stored === undefined) throw new ApiError(404, '404: not found');
        const merged = Object.entries({ ...stored, ...annotations }).filter(([, value]) => value !== null);
        const annotated = Object.fromEntries(merged) as Record<string, string>;
        this.objects.set(target, annotated);
        return { metadata: { annotations: annotated } };
      },
    };
  }

  private nodeObject(name: string): object {
    const [address] = this.candidates.get(name)!;
    return {
      metadata: { name, labels: { [EGRESS_NODE]: '' } },
      status: {
        addresses: [{ type: 'InternalIP', address: formatAddress(address!) }],
        conditions: [{ type: 'Ready', status: this.ready.has(name) ? 'True' : 'Unknown' }],
      },
    };
  }
}
