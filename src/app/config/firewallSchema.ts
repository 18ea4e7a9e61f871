/** The `kubernetes.firewall` section: what the firewall does beside what policies say. */

import { z } from 'zod';

/** kube-router's; nflog listeners of its users know it. */
const LOG_GROUP = 100;
/** Of a connection's mark. Kubernetes and kube-router use bits 14 and 15 of packets' marks, and 16 and 17 besides. */
const CUT_BIT = 27;
/** auto: where it breaks nothing. */
export const FLOW_OFFLOAD = ['off', 'auto'] as const;

const Log = z.strictObject({
  enabled: z.boolean().default(true).describe('Some of the denied packets are told by names of pods and policy.'),
  group: z
    .int()
    .min(0)
    .max(65535)
    .default(LOG_GROUP)
    .describe('nfnetlink_log group that they are sent to. Default 100.'),
  perSecond: z
    .int()
    .min(1)
    .max(10_000)
    .default(5)
    .describe('So many a second at most, for each decision that denies. Default 5.'),
  burst: z.int().min(1).max(10_000).default(10).describe('So many at once. Default 10.'),
});

export const FirewallSection = z.strictObject({
  defaultDeny: z
    .boolean()
    .default(false)
    .describe("Drop what comes from and goes to addresses of this node's pods that no known pod has. Default false."),
  cutConnections: z
    .boolean()
    .default(true)
    .describe('End connections that a change of policies forbids. Default true: otherwise they go on.'),
  cutBit: z
    .int()
    .min(0)
    .max(31)
    .default(CUT_BIT)
    .describe("Bit of connections' marks (conntrack) that says: cut. Default 27."),
  flowOffload: z
    .enum(FLOW_OFFLOAD)
    .default('off')
    .describe(
      'auto: established connections are forwarded past all rules (an nftables flowtable), but not with tenancy or egress addresses. Default off.',
    ),
  log: Log.prefault({}).describe('Denied packets that are told.'),
});
