/** The `kubernetes.proxy` section: what kube-router and kube-proxy say of the service proxy in flags and in a file. */

import { z } from 'zod';
import { SCHEDULERS } from '../../proxy/proxyTypes.js';
import { address, prefix } from './textSchema.js';

/** Of the bits of a packet's mark, kube-proxy takes this one. */
const MASQUERADE_BIT = 14;
const HEALTH_PORT = 10256;
const GRACEFUL_PERIOD = 30;

const seconds = z.number().min(0);
const linkName = z.string().regex(/^[^/\s]{1,15}$/, { message: 'is not the name of a link' });

const Pods = z
  .strictObject({
    cidrs: z.array(prefix).optional().describe("Networks of pods. Default: this node's own."),
    link: linkName.optional().describe('Instead: what arrives through this link.'),
    linkPrefix: linkName.optional().describe('Instead: what arrives through links whose names begin so.'),
  })
  .refine(({ cidrs, link, linkPrefix }) => [cidrs, link, linkPrefix].filter(Boolean).length < 2, {
    message: 'only one of cidrs, link and linkPrefix',
  });

const Ipvs = z.strictObject({
  scheduler: z.enum(SCHEDULERS).default('rr').describe('For services whose annotation does not say. Default rr.'),
  tcpTimeout: seconds.default(0).describe('Seconds; 0 leaves the kernel what it has.'),
  tcpFinTimeout: seconds.default(0).describe('Seconds after FIN.'),
  udpTimeout: seconds.default(0).describe('Seconds.'),
  gracefulTermination: z
    .boolean()
    .default(true)
    .describe('Let TCP connections to backends that went run out. Default true.'),
  gracefulPeriod: seconds.default(GRACEFUL_PERIOD).describe('Seconds that they may take. Default 30.'),
  excludedCidrs: z.array(prefix).default([]).describe('Virtual servers in these are never deleted.'),
  guardAddresses: z
    .boolean()
    .default(true)
    .describe('Refuse at service addresses what no service offers. Default true.'),
  strictArp: z.boolean().default(false).describe('Answer ARP for service addresses on no link.'),
  runtimeEndpoint: z.string().default('').describe('Socket of the container runtime, for direct server return.'),
});

const count = z.int().min(0);

const Conntrack = z.strictObject({
  maxPerCore: count.optional().describe('Flows that may be tracked for each processor. More than that stays allowed.'),
  min: count.optional().describe('At least so many in all.'),
  tcpEstablishedTimeout: seconds.optional().describe('Seconds.'),
  tcpCloseWaitTimeout: seconds.optional().describe('Seconds.'),
  tcpBeLiberal: z.boolean().optional().describe("Packets outside of a TCP connection's window are not invalid."),
  udpTimeout: seconds.optional().describe('Seconds.'),
  udpStreamTimeout: seconds.optional().describe('Seconds.'),
});

export const ProxySection = z.strictObject({
  mode: z
    .enum(['auto', 'nftables', 'ipvs'])
    .default('auto')
    .describe('How services are programmed. Default auto: IPVS where the kernel has it, nftables where not.'),
  kubeProxyConfig: z
    .string()
    .min(1)
    .optional()
    .describe("A file of kube-proxy's configuration. What is said here goes before it."),
  masqueradeAll: z.boolean().default(false).describe("The node's address as source of all traffic to cluster IPs."),
  masqueradeBit: z
    .int()
    .min(0)
    .max(31)
    .default(MASQUERADE_BIT)
    .describe('Bit of the packet mark that asks for it. Default 14.'),
  countTraffic: z
    .boolean()
    .default(true)
    .describe('Count connections, packets and octets of services with nftables too. Default true.'),
  pods: Pods.prefault({}).describe('How a source is told to be a pod.'),
  nodePortAddresses: z
    .array(z.union([z.enum(['primary', 'all']), prefix]))
    .default(['primary'])
    .describe("Where node ports are served: networks, primary (the Node's own addresses), or all. Default primary."),
  dropUnallocated: z
    .boolean()
    .optional()
    .describe(
      'Drop traffic to addresses of service networks that no service has: true: of ServiceCIDR objects and of services.clusterIpRanges; false: of none. Default: of ServiceCIDR objects.',
    ),
  healthPort: z.int().min(0).max(65535).default(HEALTH_PORT).describe("Port of kube-proxy's /healthz; 0: none."),
  healthAddress: address.or(z.literal('')).default('').describe('Address of it. Default: all.'),
  conntrack: Conntrack.prefault({}).describe(
    "Limits of connection tracking. What is not said, or 0, stays as it is; with kubeProxyConfig, kube-proxy's defaults.",
  ),
  ipvs: Ipvs.prefault({}).describe('What only IPVS knows.'),
});
