/**
 * IPVS and the services' link as a target of the reconciler. What refers comes after what it refers to: link, address, claim,
 * server, destination; and goes before it. Destinations with connections are let run out first. Impure: netlink.
 */

import type { TimerHandle } from '../../core/clock.js';
import type { Delta, Present } from '../../core/deltaTable.js';
import { formatAddress } from '../../core/ip.js';
import type { Target } from '../../core/reconciler.js';
import type { Ipvs, IpvsCommand } from '../../kernel/ipvs/ipvs.js';
import type { FoundServer, ServerId } from '../../kernel/ipvs/messages.js';
import type { IpvsSettings } from '../proxyTypes.js';
import { readDestinations } from './destinationReader.js';
import { createDraining, type Drained } from './draining.js';
import { foundBesides, foundOfServer, isExcluded, ownServers, type ReadingRules } from './ipvsReading.js';
import { createReadingTurns } from './readingTurns.js';
import type { ServerClaims } from './serverClaims.js';
import type { ServiceLink } from './serviceLink.js';
import { guardedSet, type ServerGuardOptions } from './serverGuard.js';
import { removeStale } from './staleServers.js';
import { destinationKey, serverKey } from './virtualServers.js';
import * as wish from './wishes.js';
import type { Wish, WishKey } from './wishes.js';

export type IpvsTargetSettings = Pick<IpvsSettings, 'gracefulPeriod' | 'excludedCidrs'>;

export interface IpvsTarget extends Target<WishKey, Wish> {
  /** Milliseconds that the last reading took. */
  readonly readingTook: number;
  configure(settings: IpvsTargetSettings): void;
  /** Takes away at once what a former life left for services that are gone. Errors are told, and left to the reconciler. */
  sweep(): Promise<void>;
  /**
   * Waits no more for connections to end: what still drains stays, and the next process finds it.
   * @returns resolves when nothing is under way
   */
  stop(): Promise<void>;
}

export interface IpvsTargetOptions extends ServerGuardOptions {
  readonly ipvs: Pick<Ipvs, 'servers' | 'destinations' | 'listing' | 'timeouts' | 'run'>;
  readonly link: ServiceLink;
  readonly claims: ServerClaims;
  readonly isWanted: (key: WishKey) => boolean;
  /** What is believed to be there. */
  readonly present: () => Present<WishKey, Wish>;
  /** Whether a frontend is at this place, even if nobody serves it. @param server as `serverKey` has it */
  readonly isPlace: (server: string) => boolean;
  /** Servers that are asked for their destinations in one reading, about. */
  readonly readingPart?: number | undefined;
  /** Letting connections run out failed; tried again. */
  onError(text: string): void;
}

/** Milliseconds between two looks at whether connections have ended. */
const LOOK = 1000;
const IPPROTO_TCP = 6;
/** What is said of a server, or of a destination, that is not there. */
const GONE = /^(ESRCH|ENOENT)/;

export function createIpvsTarget(options: IpvsTargetOptions): IpvsTarget {
  return new OpenTarget(options);
}

interface Step {
  readonly key: WishKey | undefined;
  readonly command: IpvsCommand;
}

type WishDelta = Delta<WishKey, Wish>;
type Of<K extends Wish['kind']> = Extract<Wish, { kind: K }>;

class OpenTarget implements IpvsTarget {
  readingTook = 0;
  private settings: IpvsTargetSettings = { gracefulPeriod: 0, excludedCidrs: [] };
  private readonly draining = createDraining();
  /** Servers that are written down. */
  private readonly claimed = new Set<string>();
  private last: Promise<unknown> = Promise.resolve();
  private timer: TimerHandle | undefined;
  private readonly turns;
  private isStopped = false;
  /** Of the last reading, ours and others. */
  private serverCount = 0;

  constructor(private readonly options: IpvsTargetOptions) {
    this.turns = createReadingTurns(options.readingPart);
  }

  configure(settings: IpvsTargetSettings): void {
    this.settings = settings;
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.timer?.cancel();
    await this.last;
  }

  sweep(): Promise<void> {
    const { isWanted, isPlace } = this.options;
    const rules = { excluded: this.settings.excludedCidrs, isWanted, isPlace };
    return this.alone(async () => {
      await removeStale(this.options, rules);
    }).catch((error: unknown) => this.options.onError(`what services left that are gone: ${String(error)}`));
  }

  read(): Promise<ReadonlyMap<WishKey, Wish>> {
    return this.alone(async () => {
      const { ipvs, link, claims, isWanted, isPlace, clock } = this.options;
      const begun = clock.now();
      const reading = { link: await link.read(), claims: await claims.read(), servers: await ipvs.servers() };
      this.claimed.clear();
      for (const server of reading.claims) this.claimed.add(serverKey(server));
      const rules = {
        excluded: this.settings.excludedCidrs,
        isWanted,
        isPlace,
        mayDrain: (server: ServerId) => this.mayDrain(server),
        until: clock.now() + this.settings.gracefulPeriod * 1000,
      };
      this.serverCount = reading.servers.length;
      const found = await this.readServers(ownServers(reading, rules), rules);
      const timeouts = isWanted(wish.TIMEOUTS_KEY) ? await ipvs.timeouts() : undefined;
      for (const [key, value] of foundBesides({ ...reading, timeouts }, rules, this.draining)) found.set(key, value);
      this.turns.done();
      this.readingTook = clock.now() - begun;
      this.lookLater();
      return found;
    });
  }

  /**
   * There may be ten thousand, with a hundred thousand destinations: those whose turn it is are asked for. Of the others,
   * destinations are believed to be as they were written.
   */
  private async readServers(servers: readonly FoundServer[], rules: ReadingRules): Promise<Map<WishKey, Wish>> {
    const found = new Map<WishKey, Wish>();
    const believed = new Set<string>();
    const present = this.options.present();
    const isTurn = this.turns.next(servers.length);
    const asked: FoundServer[] = [];
    for (const server of servers) {
      const place = serverKey(server);
      const key = wish.keyOfServer(place);
      if (isTurn(server) || !present.has(key) || !rules.isWanted(key)) asked.push(server);
      else {
        believed.add(place);
        found.set(key, { kind: 'server', server });
      }
    }
    await readDestinations(this.options.ipvs, { asked, total: servers.length }, (server, destinations) => {
      for (const [one, value] of foundOfServer(server, destinations, rules, this.draining)) found.set(one, value);
    });
    for (const [key, value] of believed.size === 0 ? [] : present.entries())
      if (value.kind === 'destination' && believed.has(serverKey(value.server))) found.set(key, value);
    return found;
  }

  async commit(delta: WishDelta): Promise<ReadonlyMap<WishKey, string>> {
    try {
      const failures = await this.write(delta);
      for (const key of failures.keys()) this.turns.suspect(wish.serverOf(key) ?? '');
      return failures;
    } catch (error) {
      // Of what was sent, nothing is known.
      this.turns.suspectAll();
      throw error;
    }
  }

  private write(delta: WishDelta): Promise<ReadonlyMap<WishKey, string>> {
    return this.alone(async () => {
      const failures = new Map<WishKey, string>();
      const left = await guardedSet(delta.set, failures, this.options);
      await this.setLink(delta, failures);
      await this.setClaims(delta, failures);
      const steps = [...this.setSteps({ ...delta, set: left }), ...this.removalSteps(delta)];
      const refusals = await this.options.ipvs.run(steps.map(({ command }) => command));
      steps.forEach(({ key }, i) => {
        const text = refusals.get(i);
        if (key === undefined || text === undefined) return;
        // Somebody was quicker.
        if (!(delta.removed.has(key) && GONE.test(text))) failures.set(key, text);
      });
      await this.removeClaims(delta, failures);
      await this.removeLink(delta, failures);
      this.lookLater();
      return failures;
    });
  }

  private async setLink({ set, removed }: WishDelta, failures: Map<WishKey, string>): Promise<void> {
    const { link } = this.options;
    const problem = set.has(wish.LINK_KEY) ? await link.open() : undefined;
    if (problem !== undefined) failures.set(wish.LINK_KEY, problem);
    for (const command of ['create', 'replace'] as const) {
      const vips = [...set].flatMap(([key, { value, before }]) =>
        value.kind === 'vip' && (before === undefined) === (command === 'create') ? [{ key, ...value }] : [],
      );
      note(vips, await link.routes(command, vips), failures);
    }
    // Their routes are there by now, so nothing is lost in between.
    const addresses = ofKind(removed, 'address').map(({ key, value }) => ({ key, ...value.address }));
    note(addresses, await link.removeAddresses(addresses), failures);
  }

  private async removeLink({ removed }: WishDelta, failures: Map<WishKey, string>): Promise<void> {
    const { link } = this.options;
    if (removed.has(wish.LINK_KEY)) {
      const problem = await link.remove();
      if (problem !== undefined) failures.set(wish.LINK_KEY, problem);
      return;
    }
    const vips = ofKind(removed, 'vip').map(({ key, value }) => ({ key, ...value }));
    note(vips, await link.routes('delete', vips), failures);
  }

  private async setClaims({ set }: WishDelta, failures: Map<WishKey, string>): Promise<void> {
    const claims = [...set].flatMap(([key, { value }]) =>
      value.kind === 'claim' ? [{ key, server: value.server }] : [],
    );
    const problem = await this.writeClaims(
      'add',
      claims.map(({ server }) => server),
    );
    if (problem !== undefined) for (const { key } of claims) failures.set(key, problem);
  }

  private async removeClaims({ removed }: WishDelta, failures: Map<WishKey, string>): Promise<void> {
    // A server that is kept for its connections keeps its claim.
    const claims = ofKind(removed, 'claim').filter(({ value }) => !this.draining.isKept(serverKey(value.server)));
    const problem = await this.writeClaims(
      'delete',
      claims.map(({ value }) => value.server),
    );
    if (problem !== undefined) for (const { key } of claims) failures.set(key, problem);
  }

  private async writeClaims(command: 'add' | 'delete', servers: readonly ServerId[]): Promise<string | undefined> {
    const problem = await this.options.claims.write(command, servers);
    if (problem !== undefined) return problem;
    for (const key of servers.map(serverKey)) {
      if (command === 'add') this.claimed.add(key);
      else this.claimed.delete(key);
    }
    return undefined;
  }

  private setSteps({ set }: WishDelta): readonly Step[] {
    const steps: Step[] = [];
    const destinations: Step[] = [];
    for (const [key, { value, before }] of set) {
      if (value.kind === 'server') {
        const isThere = this.draining.releaseServer(serverKey(value.server)) || before !== undefined;
        steps.push({
          key,
          command: { kind: 'server', command: isThere ? 'change' : 'add', server: value.server },
        });
      } else if (value.kind === 'destination') {
        const { server, destination } = value;
        const isThere = this.draining.release(serverKey(server), destinationKey(destination)) || before !== undefined;
        const command = isThere ? 'change' : 'add';
        destinations.push({ key, command: { kind: 'destination', command, server, destination } });
      } else if (value.kind === 'timeouts') {
        steps.push({ key, command: { kind: 'timeouts', timeouts: value.timeouts } });
      }
    }
    return [...steps, ...destinations];
  }

  private removalSteps({ removed }: WishDelta): readonly Step[] {
    const steps: Step[] = [];
    const goes = new Set<string>();
    const deletes = (server: ServerId, key: WishKey | undefined): void => {
      this.draining.forget(serverKey(server));
      goes.add(serverKey(server));
      if (!isExcluded(server, this.settings.excludedCidrs))
        steps.push({ key, command: { kind: 'removeServer', server } });
    };
    for (const { key, value } of ofKind(removed, 'server')) {
      // Nobody serves the frontend any more: the server stays for as long as there are connections through it.
      if (this.options.isPlace(serverKey(value.server)) && this.mayDrain(value.server))
        this.draining.keepServer(value.server);
      else deletes(value.server, key);
    }
    for (const { value } of ofKind(removed, 'vip'))
      for (const server of this.draining.keptAt(formatAddress(value.address))) deletes(server, undefined);
    for (const { key, value } of ofKind(removed, 'destination'))
      if (!goes.has(serverKey(value.server))) steps.push({ key, command: this.giveUp(value) });
    return steps;
  }

  /** A server's own removal takes its destinations with it, so they are not asked for here. */
  private giveUp({ server, destination }: Of<'destination'>): IpvsCommand {
    if (!this.options.isPlace(serverKey(server)) || !this.mayDrain(server))
      return { kind: 'removeDestination', server, destination };
    const resting = { ...destination, weight: 0 };
    this.draining.add(server, resting, this.options.clock.now() + this.settings.gracefulPeriod * 1000);
    return { kind: 'destination', command: 'change', server, destination: resting };
  }

  private mayDrain({ protocol }: ServerId): boolean {
    return protocol === IPPROTO_TCP && this.settings.gracefulPeriod > 0;
  }

  private lookLater(): void {
    if (this.isStopped || this.draining.isEmpty || this.timer !== undefined) return;
    this.timer = this.options.clock.setTimeout(() => {
      this.timer = undefined;
      void this.alone(() => this.look())
        .catch((error: unknown) => this.options.onError(`connections of former backends: ${String(error)}`))
        .finally(() => this.lookLater());
    }, LOOK);
  }

  /** Deletes what has no connections any more, and what has had its time. */
  private async look(): Promise<void> {
    const { ipvs, clock, isPlace } = this.options;
    const lost = [...this.draining.servers].flatMap(([place, server]) => (isPlace(place) ? [] : [server]));
    for (const server of lost) this.draining.forget(serverKey(server));
    const over: Drained[] = [];
    const asked = [...this.draining.servers.values()];
    await readDestinations(ipvs, { asked, total: this.serverCount }, (server, found) =>
      over.push(...this.draining.over(serverKey(server), found, clock.now())),
    );
    for (const { server, destination } of over) this.draining.release(serverKey(server), destinationKey(destination));
    const idle = [...lost, ...this.draining.idleServers];
    for (const server of idle) this.draining.forget(serverKey(server));
    // What is refused is found by the next reading.
    await ipvs.run([
      ...over.map(({ server, destination }) => ({ kind: 'removeDestination' as const, server, destination })),
      ...idle.map(server => ({ kind: 'removeServer' as const, server })),
    ]);
    await this.writeClaims(
      'delete',
      idle.filter(server => this.claimed.has(serverKey(server))),
    );
  }

  /** One after the other: what is read must not change before it is judged. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.last.then(work);
    this.last = run.catch(() => undefined);
    return run;
  }
}

function ofKind<K extends Wish['kind']>(
  wishes: ReadonlyMap<WishKey, Wish>,
  kind: K,
): readonly { readonly key: WishKey; readonly value: Of<K> }[] {
  const isOfKind = (value: Wish): value is Of<K> => value.kind === kind;
  return [...wishes].flatMap(([key, value]) => (isOfKind(value) ? [{ key, value }] : []));
}

function note(
  items: readonly { readonly key: WishKey }[],
  refusals: ReadonlyMap<number, string>,
  failures: Map<WishKey, string>,
): void {
  for (const [i, text] of refusals) failures.set(items[i]!.key, text);
}
