/** `peerage show services` and `show service`: what the service proxy has in the kernel, and why. */

import type { EndpointView, FrontendDetail, FrontendView, ServiceDetail } from '../api/serviceView.js';
import { printFields, printList, write, type Column, type OutputFormat } from './output.js';

export const FRONTEND_COLUMNS: readonly Column<FrontendView>[] = [
  { head: 'SERVICE', usual: 24, value: frontend => frontend.service },
  { head: 'KIND', usual: 12, value: frontend => frontend.kind },
  { head: 'ADDRESS', usual: 15, value: placeOf },
  { head: 'PORT', usual: 9, value: frontend => `${frontend.port}/${frontend.protocol}` },
  { head: 'POLICY', usual: 7, value: frontend => frontend.policy },
  { head: 'BACKENDS', align: 'right', value: frontend => String(frontend.backends) },
  { head: 'HERE', align: 'right', value: frontend => String(frontend.localBackends) },
  { head: 'TRAFFIC', usual: 7, value: frontend => frontend.verdict },
  { head: 'KERNEL', value: frontend => (frontend.error === null ? frontend.state : `failed: ${frontend.error}`) },
];

type FrontendColumn = Column<FrontendDetail>;

const DETAIL_COLUMNS: readonly FrontendColumn[] = [
  { head: 'FRONTEND', value: placeOf },
  { head: 'PORT', value: frontend => `${frontend.port}/${frontend.protocol}` },
  { head: 'KIND', value: frontend => frontend.kind },
  { head: 'POLICY', value: frontend => `${frontend.policy}${frontend.shortCircuit ? '*' : ''}` },
  { head: 'MASQUERADE', value: frontend => frontend.masquerade },
  { head: 'TRAFFIC', value: frontend => frontend.verdict },
  { head: 'BACKENDS', align: 'right', value: frontend => String(frontend.wanted.length) },
];
/** Only where the kernel counts. */
const COUNTER_COLUMNS: readonly FrontendColumn[] = [
  { head: 'CONNECTIONS', align: 'right', value: frontend => frontend.kernel?.counters?.connections ?? '-' },
  { head: 'PACKETS IN', align: 'right', value: frontend => frontend.kernel?.counters?.packetsIn ?? '-' },
  { head: 'OUT', align: 'right', value: frontend => frontend.kernel?.counters?.packetsOut ?? '-' },
  { head: 'OCTETS IN', align: 'right', value: frontend => frontend.kernel?.counters?.bytesIn ?? '-' },
  { head: 'OUT', align: 'right', value: frontend => frontend.kernel?.counters?.bytesOut ?? '-' },
];
const KERNEL_COLUMN: FrontendColumn = { head: 'KERNEL', value: kernelText };

const ENDPOINT_COLUMNS: readonly Column<EndpointView>[] = [
  { head: 'ENDPOINT', value: endpoint => `${endpoint.address} port ${endpoint.port}` },
  { head: 'OF', value: endpoint => `${endpoint.portName === '' ? '' : `${endpoint.portName} `}${endpoint.protocol}` },
  { head: 'NODE', value: endpoint => `${endpoint.node ?? '-'}${endpoint.isLocal ? ' (here)' : ''}` },
  { head: 'CLUSTER', value: endpoint => (endpoint.inCluster ? 'in' : 'out') },
  { head: 'LOCAL', value: endpoint => (endpoint.inLocal ? 'in' : 'out') },
];
const REASON_COLUMN: Column<EndpointView> = { head: 'WHY', value: endpoint => endpoint.reason };

/** A service for a person: what holds for all of it, then its frontends beside the kernel's, then its endpoints. */
export async function printService(service: ServiceDetail, format: OutputFormat): Promise<void> {
  if (format === 'json') {
    await write(`${JSON.stringify(service)}\n`);
    return;
  }
  const { frontends, endpoints } = service;
  await printFields(serviceFields(service));
  if (frontends.length > 0) {
    const counted = frontends.some(({ kernel }) => kernel !== null && kernel.counters !== null);
    await write('\n');
    await printList(frontends, [...DETAIL_COLUMNS, ...(counted ? COUNTER_COLUMNS : []), KERNEL_COLUMN], format);
    if (frontends.some(({ shortCircuit }) => shortCircuit))
      await write('* for traffic from outside: pods and this host reach every endpoint of the cluster list\n');
  }
  if (endpoints.length === 0) return;
  await write('\n');
  await printList(endpoints, endpointColumns(frontends), format);
}

type Field = readonly [string, string | undefined];

/** What all frontends of a service have in common. */
function serviceFields({ service, type, backend, problems, frontends, healthCheck }: ServiceDetail): readonly Field[] {
  const [first] = frontends;
  const ranges = frontends.find(({ sourceRanges }) => sourceRanges !== null)?.sourceRanges;
  const affinity = first?.affinitySeconds ?? null;
  const direct = backend === 'ipvs' && frontends.some(({ dsr }) => dsr);
  return [
    ['Service', `${service} (${type})`],
    [
      'Balancing',
      backend === 'ipvs' && first !== undefined ? `IPVS, scheduler ${first.scheduler}` : `${backend}, at random`,
    ],
    ['Affinity', affinity === null ? undefined : `${affinity} s from the last use, by client address`],
    ['Only from', ranges === undefined || ranges === null ? undefined : `${ranges.join(', ')} (to load balancer IPs)`],
    ['Answers', direct ? 'go from the pod to the client directly (DSR)' : undefined],
    ['Health checks', healthCheck === null ? undefined : healthText(healthCheck)],
    ...problems.map((text): Field => ['Problem', text]),
    ...(frontends.length === 0 ? [['Frontends', 'none'] as const] : []),
  ];
}

function healthText({ port, localEndpoints }: NonNullable<ServiceDetail['healthCheck']>): string {
  return `port ${port}, ${localEndpoints} ready endpoint${localEndpoints === 1 ? '' : 's'} here`;
}

function placeOf({ address, family }: FrontendView): string {
  return address ?? `node (IPv${family})`;
}

/** The kernel's state, told from what is wanted. */
function kernelText({ kernel, wanted, verdict, state, error }: FrontendDetail): string {
  const refusal = error === null ? [] : [`failed: ${error}`];
  if (kernel === null) return [...refusal, 'has none of it'].join('; ');
  const wantedTexts = wanted.filter(({ weight }) => weight > 0).map(backendText);
  const present = kernel.backends.filter(({ weight }) => weight > 0).map(backendText);
  const missing = wantedTexts.filter(text => !present.includes(text));
  const strange = present.filter(text => !wantedTexts.includes(text));
  const differences = [
    ...(kernel.verdict === verdict ? [] : [`its traffic: ${kernel.verdict}`]),
    ...(missing.length === 0 ? [] : [`without ${missing.join(', ')}`]),
    ...(strange.length === 0 ? [] : [`besides ${strange.join(', ')}`]),
  ];
  const drained = kernel.backends.filter(({ weight }) => weight === 0).map(backendText);
  return [
    ...refusal,
    differences.length > 0 ? `differs: ${differences.join('; ')}` : state === 'pending' ? 'on its way' : 'the same',
    ...(drained.length === 0 ? [] : [`no new connections: ${drained.join(', ')}`]),
  ].join('; ');
}

function backendText({ address, port }: { readonly address: string; readonly port: number }): string {
  return `${address} port ${port}`;
}

/** With weights where they differ from one, and connections that are open where the kernel knows of them (IPVS). */
function endpointColumns(frontends: readonly FrontendDetail[]): readonly Column<EndpointView>[] {
  const open = new Map<string, number>();
  for (const { kernel } of frontends)
    for (const backend of kernel?.backends ?? [])
      if (backend.activeConnections !== null)
        open.set(backendText(backend), (open.get(backendText(backend)) ?? 0) + backend.activeConnections);
  const weights = new Map(frontends.flatMap(({ wanted }) => wanted.map(each => [backendText(each), each.weight])));
  const isWeighted = [...weights.values()].some(weight => weight !== 1);
  return [
    ...ENDPOINT_COLUMNS,
    ...(isWeighted ? [numberColumn('WEIGHT', weights)] : []),
    ...(open.size > 0 ? [numberColumn('OPEN', open)] : []),
    REASON_COLUMN,
  ];
}

function numberColumn(head: string, numbers: ReadonlyMap<string, number>): Column<EndpointView> {
  return { head, align: 'right', value: endpoint => String(numbers.get(backendText(endpoint)) ?? '-') };
}
