/**
 * Brings packets to addresses of direct server return before this machine's IPVS, although they are not its own: a table of
 * local routes that only packets with a mark are looked up in (see packetRules.ts). Looked up the other way round, as the
 * source of a pod's answer, which has no mark, they are anybody's; the link alone would not tell the two apart, since the
 * kernel looks a source up as if it came in by the link that the packet is to leave by. As a target of the reconciler.
 * Impure: rtnetlink.
 */

import { formatPrefix, parsePrefix } from '../../core/ip.js';
import type { Target } from '../../core/reconciler.js';
import { askFor } from '../../kernel/netlink/askFor.js';
import { describeErrno, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { RouteScan } from '../../kernel/routeScan.js';
import { routeOf, writeRoute, writeRouteDump, type Route } from '../../kernel/routes.js';
import * as rt from '../../kernel/rtnetlink.js';
import { decodeRule, writeRule, writeRuleDump, type Rule } from '../../kernel/rules.js';

/** Number of the table, and of the rule that leads to it: before the main table (32766) and whatever others have. */
const DSR_TABLE = 190;
const PRIORITY = 32_190;
/** Bit of the packet mark; kube-proxy's for masquerading is the next one. */
export const DSR_MARK = 0x2000;
/** The loopback's index in every network namespace. */
const LOOPBACK = 1;
const METRIC_IPV6 = 1024;
/** ENOENT, ESRCH, EOPNOTSUPP, EAFNOSUPPORT: no such table, gone already, no IPv6. */
const [ENOENT, ESRCH, EOPNOTSUPP, EAFNOSUPPORT] = [2, 3, 95, 97];
const ABSENT: ReadonlySet<number> = new Set([ENOENT, EOPNOTSUPP, EAFNOSUPPORT]);
const GONE: ReadonlySet<number> = new Set([ENOENT, ESRCH]);

/** Keys: `rule 4`, `rule 6`, and prefixes of single addresses. Values say nothing. */
export function createDsrRouteTarget(channel: NetlinkChannel): Target<string, string> {
  return {
    read: async () => {
      const keys = [...(await readRules(channel)), ...(await readRoutes(channel))];
      return new Map(keys.map(key => [key, '']));
    },
    commit: async ({ set, removed }) => {
      // The rule after the routes, and the other way round.
      const adding = [...set.keys()].sort((a, b) => Number(isRule(a)) - Number(isRule(b)));
      const removing = [...removed.keys()].sort((a, b) => Number(isRule(b)) - Number(isRule(a)));
      const failures = new Map<string, string>();
      for (const [command, keys] of [['create', adding] as const, ['delete', removing] as const])
        for (const [key, text] of await write(channel, command, keys)) failures.set(key, text);
      return failures;
    },
  };
}

export function ruleKey(family: 4 | 6): string {
  return `rule ${family}`;
}

export function isRule(key: string): boolean {
  return key.startsWith('rule ');
}

async function readRules(channel: NetlinkChannel): Promise<readonly string[]> {
  const found: string[] = [];
  for (const version of [4, 6] as const) {
    const rules = await askFor(channel, writer => writeRuleDump(writer, version), decodeRule, ABSENT);
    if (rules.some(rule => rule.table === DSR_TABLE && rule.protocol === rt.RTPROT_SERVICES && isRight(rule)))
      found.push(ruleKey(version));
  }
  return found;
}

function isRight({ priority, mark }: Rule): boolean {
  return priority === PRIORITY && mark?.value === DSR_MARK && mark.mask === DSR_MARK;
}

async function readRoutes(channel: NetlinkChannel): Promise<readonly string[]> {
  const found: string[] = [];
  for (const family of [rt.AF_INET, rt.AF_INET6] as const) {
    const scan = new RouteScan();
    const routes = await askFor(
      channel,
      writer => writeRouteDump(writer, family, DSR_TABLE),
      message =>
        scan.read(message) && scan.table === DSR_TABLE && scan.protocol === rt.RTPROT_SERVICES
          ? formatPrefix(routeOf(scan).destination)
          : undefined,
      ABSENT,
    );
    found.push(...routes);
  }
  return found;
}

async function write(
  channel: NetlinkChannel,
  command: 'create' | 'delete',
  keys: readonly string[],
): Promise<readonly (readonly [string, string])[]> {
  if (keys.length === 0) return [];
  const writer = new NetlinkWriter();
  for (const key of keys) {
    if (key.startsWith('rule ')) writeRule(writer, command, ruleOf(key === ruleKey(4) ? 4 : 6));
    else writeRoute(writer, command, routeTo(key));
  }
  const { errnos, texts } = await channel.transact(writer);
  return keys.flatMap((key, i) => {
    const errno = errnos[i]!;
    if (errno === 0 || (command === 'delete' && GONE.has(errno))) return [];
    return [[key, describeErrno(errno, texts.get(i))] as const];
  });
}

function ruleOf(version: 4 | 6): Rule {
  return {
    version,
    priority: PRIORITY,
    table: DSR_TABLE,
    protocol: rt.RTPROT_SERVICES,
    mark: { value: DSR_MARK, mask: DSR_MARK },
  };
}

/** @throws RangeError for a key that is no prefix: the caller's mistake */
function routeTo(key: string): Route {
  const destination = parsePrefix(key);
  if (!destination.ok) throw new RangeError(destination.error);
  return {
    destination: destination.value,
    table: DSR_TABLE,
    protocol: rt.RTPROT_SERVICES,
    type: 'local',
    metric: destination.value.address.version === 4 ? 0 : METRIC_IPV6,
    scope: rt.RT_SCOPE_HOST,
    hops: [{ gateway: null, ifindex: LOOPBACK, onlink: false, weight: 1 }],
  };
}
