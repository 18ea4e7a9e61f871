/** This machine's routes to services as a target of the reconciler: known by their protocol alone. Impure: netlink. */

import { formatPrefix, parsePrefix } from '../../core/ip.js';
import type { Delta } from '../../core/deltaTable.js';
import type { Target } from '../../core/reconciler.js';
import { describeErrno, dumpAll, NetlinkError, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { RouteScan } from '../../kernel/routeScan.js';
import { routeOf, writeRoute, writeRouteDump, type Route, type RouteCommand } from '../../kernel/routes.js';
import * as rt from '../../kernel/rtnetlink.js';
import { parseRouteValue, routeValue } from './hostRoutePlan.js';

/**
 * Above what anybody else uses (IPv6 takes 1024 where nothing is said): a route of somebody else's to the same network goes
 * first, and since routes are told apart by it, none is ever replaced.
 */
const METRIC = 4096;
/** Messages a batch. */
const BATCH = 1000;
/** ESRCH: somebody was quicker. */
const GONE = 3;
/** EOPNOTSUPP, EAFNOSUPPORT: a kernel without IPv6. */
const ABSENT: ReadonlySet<number> = new Set([95, 97]);

export function createHostRouteTarget(channel: NetlinkChannel): Target<string, string> {
  return {
    read: async () => {
      const routes = await readHostRoutes(channel);
      return new Map(routes.map(route => [formatPrefix(route.destination), valueOf(route)]));
    },
    commit: async delta => {
      const failures = new Map<string, string>();
      const steps = stepsOf(delta);
      for (let i = 0; i < steps.length; i += BATCH) {
        for (const [key, text] of await run(channel, steps.slice(i, i + BATCH))) failures.set(key, text);
      }
      return failures;
    },
  };
}

/** All routes of ours to services, in both families. @throws NetlinkError */
async function readHostRoutes(channel: NetlinkChannel): Promise<readonly Route[]> {
  const found: Route[] = [];
  for (const family of [rt.AF_INET, rt.AF_INET6] as const) {
    const scan = new RouteScan();
    const request = new NetlinkWriter(64);
    writeRouteDump(request, family, rt.RT_TABLE_MAIN, rt.RTPROT_SERVICES);
    try {
      const routes = await dumpAll(channel, request, message =>
        scan.read(message) && !scan.cloned && isHostRoute(scan) ? routeOf(scan) : undefined,
      );
      found.push(...routes);
    } catch (error) {
      if (!(error instanceof NetlinkError && ABSENT.has(error.errno))) throw error;
    }
  }
  return found;
}

/** Takes them all away. @returns how many, and why others could not be */
export async function removeHostRoutes(
  channel: NetlinkChannel,
): Promise<{ readonly removed: number; readonly refused: readonly string[] }> {
  const routes = await readHostRoutes(channel);
  const refused: string[] = [];
  for (let i = 0; i < routes.length; i += BATCH) {
    const steps = routes.slice(i, i + BATCH).map((route): Step => ({ key: '', command: 'delete', route }));
    refused.push(...(await run(channel, steps)).map(([, text]) => text));
  }
  return { removed: routes.length - refused.length, refused };
}

function isHostRoute(route: { readonly table: number; readonly protocol: number }): boolean {
  return route.table === rt.RT_TABLE_MAIN && route.protocol === rt.RTPROT_SERVICES;
}

/** One that is not as we write it has a value of no terms, and so is written again. */
function valueOf({ type, metric, hops, source }: Route): string {
  const [hop] = hops;
  const isPlain = type === 'unicast' && metric === METRIC && hops.length === 1 && hop?.gateway === null;
  return !isPlain || source === undefined ? 'other' : routeValue({ ifindex: hop.ifindex, source });
}

interface Step {
  readonly key: string;
  readonly command: RouteCommand;
  readonly route: Route;
}

function stepsOf({ set, removed }: Delta<string, string>): readonly Step[] {
  const changed = [...set].flatMap(([key, { value, before }]) => {
    const route = routeFor(key, value);
    // One of another shape may be of another metric, which a replacement would not find.
    if (before === 'other') return [...stepFor(key, 'delete', routeFor(key, before)), ...stepFor(key, 'create', route)];
    return stepFor(key, before === undefined ? 'create' : 'replace', route);
  });
  return [...changed, ...[...removed].flatMap(([key, value]) => stepFor(key, 'delete', routeFor(key, value)))];
}

function stepFor(key: string, command: RouteCommand, route: Route | undefined): readonly Step[] {
  return route === undefined ? [] : [{ key, command, route }];
}

/** @param value of `other`: only good for taking it away, whatever its metric is */
function routeFor(key: string, value: string): Route | undefined {
  const prefix = parsePrefix(key);
  if (!prefix.ok) return undefined;
  const terms = parseRouteValue(value);
  return {
    destination: prefix.value,
    table: rt.RT_TABLE_MAIN,
    protocol: rt.RTPROT_SERVICES,
    type: 'unicast',
    metric: terms === undefined ? 0 : METRIC,
    scope: rt.RT_SCOPE_UNIVERSE,
    hops: terms === undefined ? [] : [{ gateway: null, ifindex: terms.ifindex, onlink: false, weight: 1 }],
    ...(terms === undefined ? {} : { source: terms.source }),
  };
}

async function run(channel: NetlinkChannel, steps: readonly Step[]): Promise<readonly (readonly [string, string])[]> {
  const writer = new NetlinkWriter();
  for (const { command, route } of steps) writeRoute(writer, command, route);
  const { errnos, texts } = await channel.transact(writer);
  return steps.flatMap(({ key, command }, i) => {
    const errno = errnos[i]!;
    if (errno === 0 || (command === 'delete' && errno === GONE)) return [];
    return [[key, describeErrno(errno, texts.get(i))] as const];
  });
}
