/** `peerage show services` and `show service`: what the service proxy has in the kernel, and why. */

import type { EndpointView, FrontendDetail, FrontendView, ServiceDetail } from '../api/serviceView.js';
import { printFields, printList, write, type Column, type OutputFormat } from './output.js';

export const FRONTEND_COLUMNS: readonly Column<FrontendView>[] = [
  { head: 'SERVICE', usual: 24, value: frontend => frontend.service },
  { head: 'KIND', usual: 12, value: frontend => frontend.kind },
  { head: 'ADDRESS', usual: 15, value: frontend => frontend.address ?? `node (IPv${frontend.family})` },
  { head: 'PORT', usual: 9, value: frontend => `${frontend.port}/${frontend.protocol}` },
  { head: 'POLICY', usual: 7, value: frontend => frontend.policy },
  { head: 'BACKENDS', align: 'right', value: frontend => String(frontend.backends) },
  { head: 'HERE', align: 'right', value: frontend => String(frontend.localBackends) },
  { head: 'TRAFFIC', usual: 7, value: frontend => frontend.verdict },
  { head: 'KERNEL', value: frontend => (frontend.error === null ? frontend.state : `failed: ${frontend.error}`) },
];

const ENDPOINT_COLUMNS: readonly Column<EndpointView>[] = [
  { head: 'ENDPOINT', value: endpoint => `${endpoint.address} port ${endpoint.port}` },
  { head: 'OF', value: endpoint => `${endpoint.portName === '' ? '' : `${endpoint.portName} `}${endpoint.protocol}` },
  { head: 'NODE', value: endpoint => `${endpoint.node ?? '-'}${endpoint.isLocal ? ' (here)' : ''}` },
  { head: 'CLUSTER', value: endpoint => (endpoint.inCluster ? 'in' : 'out') },
  { head: 'LOCAL', value: endpoint => (endpoint.inLocal ? 'in' : 'out') },
  { head: 'WHY', value: endpoint => endpoint.reason },
];

export async function printService(service: ServiceDetail, format: OutputFormat): Promise<void> {
  if (format === 'json') {
    await write(`${JSON.stringify(service)}\n`);
    return;
  }
  const { healthCheck } = service;
  await printFields([
    ['Service', service.service],
    ['Type', service.type],
    [
      'Health checks',
      healthCheck === null ? undefined : `port ${healthCheck.port}, ${healthCheck.localEndpoints} ready endpoints here`,
    ],
    ...service.frontends.flatMap(frontendFields),
  ]);
  await write('\n');
  await printList(service.endpoints, ENDPOINT_COLUMNS, format);
}

type Field = readonly [string, string | undefined];

/** Desired state, and the kernel's beside it. */
function frontendFields(frontend: FrontendDetail): readonly Field[] {
  const { address, family, port, protocol, kind, verdict, backends, kernel } = frontend;
  const place = address ?? `node ports (IPv${family})`;
  const counters = kernel?.counters ?? null;
  return [
    ['', ''],
    ['Frontend', `${place} port ${port}/${protocol} (${kind})`],
    ['Traffic', [verdict, `${backends} backends`, ...rulesOf(frontend)].join(', ')],
    ['Wanted', frontend.error === null ? frontend.state : `failed: ${frontend.error}`],
    ['Kernel', kernel === null ? 'has none of it' : kernelText(kernel)],
    [
      'Counters',
      counters === null
        ? undefined
        : `${counters.connections} connections, ${counters.packetsIn} packets and ${counters.bytesIn} octets in`,
    ],
  ];
}

function rulesOf(frontend: FrontendDetail): readonly string[] {
  const { policy, shortCircuit, masquerade, affinitySeconds, sourceRanges, scheduler, dsr } = frontend;
  return [
    `policy ${policy}${shortCircuit ? ' (not for pods and this host)' : ''}`,
    `masquerade ${masquerade}`,
    ...(affinitySeconds === null ? [] : [`affinity ${affinitySeconds} s`]),
    ...(sourceRanges === null ? [] : [`only from ${sourceRanges.join(' ')}`]),
    `scheduler ${scheduler}`,
    ...(dsr ? ['direct server return'] : []),
  ];
}

function kernelText({ verdict, backends }: NonNullable<FrontendDetail['kernel']>): string {
  const list = backends.map(({ address, port, weight, activeConnections }) => {
    const text = `${address} port ${port}${weight === 1 ? '' : ` weight ${weight}`}`;
    return activeConnections === null ? text : `${text} (${activeConnections} open)`;
  });
  return [verdict, ...list].join(', ');
}
