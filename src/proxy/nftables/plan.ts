/**
 * From changes of services to changes of elements, one family: a change of one endpoint costs a look at one service port,
 * however many services there are. Pure.
 */

import { parseAddress, type IpAddress } from '../../core/ip.js';
import type { BackendLists, Family, Frontend, FrontendKey, ProxyDelta, ServicePortKey } from '../proxyTypes.js';
import { elementKey, type ElementKey } from '../../kernel/nftables/elements.js';
import { fanOctets, parseFan } from './fanChains.js';
import { SETS } from './layout.js';
import type { ServicePortElements, TableKind } from './tableKind.js';

/** Elements that came (with their value) or go. */
export type ElementChanges = ReadonlyMap<ElementKey, string | undefined>;

export interface PlanChanges {
  readonly elements: ElementChanges;
  /** Service ports whose elements are what changed, or that are gone. */
  readonly touched: ReadonlySet<ServicePortKey>;
}

export interface Plan {
  apply(delta: ProxyDelta): PlanChanges;
  /** @returns what changes for frontends that depend on them */
  setNodeAddresses(texts: readonly string[]): PlanChanges;
  /** Elements of one service port, its fan chains among them; undefined when it has none. */
  elementsOf(port: ServicePortKey): ServicePortElements | undefined;
  frontendsOf(port: ServicePortKey): readonly Frontend[];
  /** Undefined: none are known. */
  listsOf(port: ServicePortKey): BackendLists | undefined;
  readonly ports: Iterable<ServicePortKey>;
}

/** Not a map: the fan chains that are in use, by name. */
export const CHAINS = 'chain';

export function createPlan(family: Family, kind: Pick<TableKind, 'elementsOf' | 'dependsOnNode'>): Plan {
  return new FamilyPlan(family, kind);
}

/** A fan chain and what leads to it. */
function fanElements(name: string): ElementChanges {
  const fan = parseFan(name);
  if (fan === undefined) return new Map();
  return new Map([
    [elementKey(CHAINS, name), ''],
    [elementKey(SETS.fans, fanOctets(fan)), `goto ${name}`],
  ]);
}

const NOTHING: ServicePortElements = { own: new Map(), shared: new Set(), fans: new Set() };

class FamilyPlan implements Plan {
  private readonly frontends = new Map<FrontendKey, Frontend>();
  private readonly byPort = new Map<ServicePortKey, Set<FrontendKey>>();
  private readonly lists = new Map<ServicePortKey, BackendLists>();
  private readonly elements = new Map<ServicePortKey, ServicePortElements>();
  /** Names of fan chains that are in use, or were. */
  private readonly fans = new Set<string>();
  /** How many service ports need an element. */
  private readonly uses = new Map<ElementKey, number>();
  private nodeAddresses: readonly IpAddress[] = [];

  constructor(
    private readonly family: Family,
    private readonly kind: Pick<TableKind, 'elementsOf' | 'dependsOnNode'>,
  ) {}

  get ports(): Iterable<ServicePortKey> {
    return this.elements.keys();
  }

  apply({ frontends, backends }: ProxyDelta): PlanChanges {
    const touched = new Set<ServicePortKey>();
    for (const key of frontends.removed) this.removeFrontend(key, touched);
    for (const frontend of frontends.set.values()) this.setFrontend(frontend, touched);
    for (const port of backends.removed) if (this.lists.delete(port)) touched.add(port);
    for (const lists of backends.set.values()) {
      if (!lists.servicePort.startsWith(`${this.family}|`)) continue;
      this.lists.set(lists.servicePort, lists);
      touched.add(lists.servicePort);
    }
    return this.replan(touched);
  }

  setNodeAddresses(texts: readonly string[]): PlanChanges {
    this.nodeAddresses = texts
      .map(parseAddress)
      .flatMap(address => (address.ok && address.value.version === this.family ? [address.value] : []));
    const concerned = [...this.frontends.values()].filter(frontend => this.kind.dependsOnNode(frontend));
    return this.replan(new Set(concerned.map(({ servicePort }) => servicePort)));
  }

  elementsOf(port: ServicePortKey): ServicePortElements | undefined {
    return this.elements.get(port);
  }

  frontendsOf(port: ServicePortKey): readonly Frontend[] {
    return [...(this.byPort.get(port) ?? [])].flatMap(key => this.frontends.get(key) ?? []);
  }

  listsOf(port: ServicePortKey): BackendLists | undefined {
    return this.lists.get(port);
  }

  private removeFrontend(key: FrontendKey, touched: Set<ServicePortKey>): void {
    const before = this.frontends.get(key);
    if (before === undefined) return;
    this.frontends.delete(key);
    touched.add(before.servicePort);
    const keys = this.byPort.get(before.servicePort);
    keys?.delete(key);
    if (keys?.size === 0) this.byPort.delete(before.servicePort);
  }

  private setFrontend(frontend: Frontend, touched: Set<ServicePortKey>): void {
    if (frontend.family !== this.family) return;
    // It may have another owner than before.
    this.removeFrontend(frontend.key, touched);
    this.frontends.set(frontend.key, frontend);
    const keys = this.byPort.get(frontend.servicePort) ?? new Set();
    this.byPort.set(frontend.servicePort, keys.add(frontend.key));
    touched.add(frontend.servicePort);
  }

  /** What goes is noted before what comes: a frontend that changed hands is in both. */
  private replan(touched: ReadonlySet<ServicePortKey>): PlanChanges {
    const changes = new Map<ElementKey, string | undefined>();
    const pairs = [...touched].map(port => {
      const frontends = this.frontendsOf(port);
      const before = this.elements.get(port) ?? NOTHING;
      const after =
        frontends.length === 0 ? NOTHING : this.kind.elementsOf(frontends, this.lists.get(port), this.nodeAddresses);
      if (after === NOTHING) this.elements.delete(port);
      else this.elements.set(port, after);
      return { before, after };
    });
    for (const { before, after } of pairs)
      for (const key of before.own.keys()) if (!after.own.has(key)) changes.set(key, undefined);
    for (const { before, after } of pairs) {
      for (const [key, value] of after.own)
        if (before.own.get(key) !== value || changes.has(key)) changes.set(key, value);
      this.count(before, after, changes);
    }
    return { elements: changes, touched };
  }

  private count(
    before: ServicePortElements,
    after: ServicePortElements,
    changes: Map<ElementKey, string | undefined>,
  ): void {
    for (const key of after.shared) if (!before.shared.has(key)) this.use(key, 1, changes);
    for (const key of before.shared) if (!after.shared.has(key)) this.use(key, -1, changes);
    // A chain that nobody needs stays: there are few, and the next service with as many endpoints needs it again.
    for (const name of after.fans) {
      if (this.fans.has(name)) continue;
      this.fans.add(name);
      for (const [key, value] of fanElements(name)) changes.set(key, value);
    }
  }

  private use(key: ElementKey, step: 1 | -1, changes: Map<ElementKey, string | undefined>): void {
    const uses = (this.uses.get(key) ?? 0) + step;
    if (uses > 0) this.uses.set(key, uses);
    else this.uses.delete(key);
    if (uses === 0) changes.set(key, undefined);
    else if (uses === 1 && step === 1) changes.set(key, '');
  }
}
