/** `peerage show …`: what a running router knows. */

import { Option, type Command } from 'commander';
import { createControlClient, type ControlClient } from '../api/client.js';
import {
  FAMILIES,
  type Family,
  type EgressAddressView,
  type FibRouteView,
  type DenialView,
  type FrontendView,
  type PeerDetail,
  type PeerSummary,
  type PodLimitView,
  type PolicyView,
  type ProblemView,
  type RouterSummary,
  type RouteView,
  type ServiceDetail,
  type TenantView,
} from '../api/view.js';
import { controlOption } from './controlOption.js';
import { age, duration, FIB_COLUMNS, PEER_COLUMNS, PROBLEM_COLUMNS, ROUTE_COLUMNS } from './columns.js';
import { printFields, printList, write, type Column, type OutputFormat } from './output.js';
import { BANDWIDTH_COLUMNS } from './showBandwidth.js';
import { DENIAL_COLUMNS } from './showDenials.js';
import { EGRESS_COLUMNS } from './showEgress.js';
import { POLICY_COLUMNS } from './showPolicies.js';
import { FRONTEND_COLUMNS, printService } from './showServices.js';
import { TENANT_COLUMNS } from './tenants.js';

interface ShowOptions {
  readonly control: string;
  readonly output: OutputFormat;
  readonly family?: string;
  readonly longer?: boolean;
  readonly untold?: boolean;
}

export function addShowCommands(program: Command): void {
  const show = program
    .command('show')
    .helpCommand(false)
    .description('show what a running router knows')
    .addHelpText('after', EXAMPLES);
  const add = (name: string, description: string): Command =>
    show.command(name).description(description).addOption(controlOption()).addOption(outputOption());
  const addRoutes = (name: string, description: string): Command =>
    add(name, description)
      .addOption(new Option('--family <family>', 'only this address family').choices(FAMILIES))
      .option('--longer', 'with a prefix: also everything inside it');

  add('summary', 'the router in a few lines').action(async (options: ShowOptions) => showSummary(options));
  add('peers', 'all neighbours, a line each').action(async (options: ShowOptions) => {
    await showList<PeerSummary>(options, '/v1/peers', undefined, PEER_COLUMNS);
  });
  add('neighbor <name>', 'one neighbour in full').action(async (name: string, options: ShowOptions) =>
    showNeighbor(name, options),
  );
  addRoutes('routes [prefix]', 'the Loc-RIB: all paths, the best ones marked *').action(
    async (prefix: string | undefined, options: ShowOptions) => {
      await showList<RouteView>(options, '/v1/routes', prefix, ROUTE_COLUMNS);
    },
  );
  addRoutes('adj-in <name> [prefix]', 'what a neighbour has told us').action(
    async (name: string, prefix: string | undefined, options: ShowOptions) => {
      await showList<RouteView>(options, `/v1/peers/${encodeURIComponent(name)}/adj-in`, prefix, ROUTE_COLUMNS);
    },
  );
  addRoutes('adj-out <name> [prefix]', 'what we have told a neighbour, as it was sent')
    .option('--untold', 'also the best routes that it is not told, and why')
    .action(async (name: string, prefix: string | undefined, options: ShowOptions) => {
      await showList<RouteView>(options, `/v1/peers/${encodeURIComponent(name)}/adj-out`, prefix, ROUTE_COLUMNS);
    });
  addRoutes('fib [prefix]', 'routes in the kernel, and those on their way').action(
    async (prefix: string | undefined, options: ShowOptions) => {
      await showList<FibRouteView>(options, '/v1/fib', prefix, FIB_COLUMNS);
    },
  );
  add('services', 'what the service proxy serves: a line for each address and port').action(
    async (options: ShowOptions) => {
      await showList<FrontendView>(options, '/v1/services', undefined, FRONTEND_COLUMNS);
    },
  );
  add('service <name>', 'one service (namespace/name) in full: its endpoints, and what the kernel has of it').action(
    async (name: string, options: ShowOptions) => {
      const service = (await client(options).get(`/v1/services/${encodeURIComponent(name)}`)) as ServiceDetail;
      await printService(service, options.output);
    },
  );
  add('policies', 'network policies that govern pods of this node, and what the kernel has of them').action(
    async (options: ShowOptions) => {
      await showList<PolicyView>(options, '/v1/policies', undefined, POLICY_COLUMNS);
    },
  );
  add('denials', 'connections that network policies denied of late, of those that the kernel told of').action(
    async (options: ShowOptions) => {
      await showList<DenialView>(options, '/v1/denials', undefined, DENIAL_COLUMNS);
    },
  );
  add('tenants', 'namespaces and the networks that keep them apart').action(async (options: ShowOptions) => {
    await showList<TenantView>(options, '/v1/tenants', undefined, TENANT_COLUMNS);
  });
  add('bandwidth', 'limits of pods of this node, and what went through them').action(async (options: ShowOptions) => {
    await showList<PodLimitView>(options, '/v1/bandwidth', undefined, BANDWIDTH_COLUMNS);
  });
  add('egress', 'addresses that namespaces have outside the cluster, and who holds them').action(
    async (options: ShowOptions) => {
      await showList<EgressAddressView>(options, '/v1/egress', undefined, EGRESS_COLUMNS);
    },
  );
  add('problems', 'what is wrong now: objects that cannot be used, and what does not work').action(
    async (options: ShowOptions) => {
      await showList<ProblemView>(options, '/v1/problems', undefined, PROBLEM_COLUMNS);
    },
  );
}

const EXAMPLES = `
A prefix selects itself, with --longer also what is inside it; a bare address
selects the routes that match it, the longest first. * marks the best path,
= one that shares the load with it, S one kept over a restart of its peer.

Examples:
  peerage show peers
  peerage show routes 10.244.1.7
  peerage show routes 10.244.0.0/16 --longer -o wide
  peerage show adj-out tor-1 10.244.1.0/24 --untold
  peerage show adj-out tor-1 -o json | jq '.[].prefix'`;

function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(['table', 'wide', 'json']).default('table');
}

async function showList<T>(
  options: ShowOptions,
  path: string,
  prefix: string | undefined,
  columns: readonly Column<T>[],
): Promise<void> {
  const query = {
    ...(options.family === undefined ? {} : { family: options.family }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(options.longer === true ? { longer: 'true' } : {}),
    ...(options.untold === true ? { untold: 'true' } : {}),
  };
  const items = client(options).list(path, query) as AsyncIterable<T>;
  const count = await printList(items, columns, options.output);
  if (count > 0 || prefix === undefined) return;
  process.stderr.write(`peerage: nothing there matches ${prefix}\n`);
  process.exitCode = 1;
}

async function showSummary(options: ShowOptions): Promise<void> {
  const summary = (await client(options).get('/v1/summary')) as RouterSummary;
  if (options.output === 'json') {
    await write(`${JSON.stringify(summary)}\n`);
    return;
  }
  await printFields([
    ['AS', String(summary.asn)],
    ['Router id', summary.routerId],
    ['Cluster id', summary.clusterId ?? undefined],
    ['Up', duration(summary.uptimeSeconds)],
    ['Version', summary.version],
    ['Listening', summary.listen.join(', ') || 'nowhere'],
    ['IPv4 unicast', `${summary.prefixes['ipv4-unicast']} prefixes, ${summary.paths['ipv4-unicast']} paths`],
    ['IPv6 unicast', `${summary.prefixes['ipv6-unicast']} prefixes, ${summary.paths['ipv6-unicast']} paths`],
    ['Attribute sets', String(summary.attributes)],
    ['Problems', summary.problems.length === 0 ? 'none' : summary.problems.join('; ')],
  ]);
}

async function showNeighbor(name: string, options: ShowOptions): Promise<void> {
  const peer = (await client(options).get(`/v1/peers/${encodeURIComponent(name)}`)) as PeerDetail;
  if (options.output === 'json') {
    await write(`${JSON.stringify(peer)}\n`);
    return;
  }
  await printFields(neighborFields(peer));
}

/** A neighbour in full, as names and values. */
export function neighborFields(peer: PeerDetail): readonly (readonly [string, string | undefined])[] {
  const restart = peer.gracefulRestart;
  const counts = (values: Readonly<Record<string, number>>): string =>
    Object.entries(values)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ');
  return [
    ['Name', peer.dynamic ? `${peer.name} (dynamic)` : peer.name],
    ['State', peer.since === null ? peer.state : `${peer.state} for ${age(peer.since)}`],
    ['Last error', peer.lastError === null ? undefined : `${peer.lastError.text} (${age(peer.lastError.at)} ago)`],
    [
      'Peer',
      `${peer.address} port ${peer.remotePort ?? peer.port}, AS ${peer.remoteAsn ?? 'any'}${peer.remoteId === null ? '' : `, router id ${peer.remoteId}`}`,
    ],
    ['Host name', peer.hostname ?? undefined],
    ['Local', `${localEnd(peer)}AS ${peer.localAsn}, router id ${peer.localId}`],
    [
      'Type',
      [
        peer.kind,
        peer.routeReflectorClient ? 'route reflector client' : undefined,
        peer.passive ? 'passive' : undefined,
      ]
        .filter(Boolean)
        .join(', ') || undefined,
    ],
    ['Hops', peer.hops],
    ['Authentication', peer.authentication],
    ['Timers', timersOf(peer)],
    ['Families', peer.families.join(', ')],
    ['Capabilities', peer.capabilities.join(', ') || undefined],
    ['Next hop self', peer.nextHopSelf ? 'yes' : 'no'],
    ['Graceful restart', restartOf(peer)],
    [
      'Stale paths',
      restart.stalePaths === 0 ? undefined : `${restart.stalePaths}, for at most ${restart.staleFor ?? 0} s`,
    ],
    ['IPv4 unicast', prefixCounts(peer, 'ipv4-unicast')],
    ['IPv6 unicast', prefixCounts(peer, 'ipv6-unicast')],
    ['Import policy', peer.policies.import.join(', ') || undefined],
    ['Export policy', peer.policies.export.join(', ') || undefined],
    ['Messages in', counts(peer.messages.received)],
    ['Messages out', counts(peer.messages.sent)],
    ['Octets', `${peer.octets.received} in, ${peer.octets.sent} out, ${peer.sendQueue} waiting`],
    ['Established', `${peer.timesEstablished} time${peer.timesEstablished === 1 ? '' : 's'}`],
    ['Update group', peer.updateGroup === null ? undefined : String(peer.updateGroup)],
  ];
}

/** Without a connection the system has not chosen one. */
function localEnd({ localAddress, localPort }: PeerDetail): string {
  return localAddress === null ? '' : `${localAddress} port ${localPort ?? '-'}, `;
}

/** What was agreed on; before that, what we shall ask for. */
function timersOf({ holdTime, configuredHoldTime, keepaliveTime }: PeerDetail): string {
  return holdTime === null
    ? `hold ${configuredHoldTime} s configured`
    : `hold ${holdTime} s (configured ${configuredHoldTime} s), keepalive ${keepaliveTime ?? '-'} s`;
}

function restartOf({ state, gracefulRestart: { restartTime, peerRestartTime } }: PeerDetail): string {
  if (restartTime === null) return 'off';
  const ours = `we ask for ${restartTime} s`;
  if (peerRestartTime !== null) return `${ours}, the peer for ${peerRestartTime} s`;
  // What a peer has is in its OPEN.
  return state === 'Established' ? `${ours}, the peer has not the capability` : ours;
}

function prefixCounts({ received, advertised, maxPrefixes }: PeerDetail, family: Family): string {
  const limit = maxPrefixes[family];
  return `${received[family]} received${limit === null ? '' : ` of at most ${limit}`}, ${advertised[family]} told`;
}

function client(options: ShowOptions): ControlClient {
  return createControlClient(options.control);
}
