/** Sections of the configuration about the addresses that pods send from: their own, and those they carry outside. */

import { z } from 'zod';
import { prefix } from './textSchema.js';

export const AntiSpoofSection = z.strictObject({
  mode: z
    .enum(['off', 'known', 'strict'])
    .default('off')
    .describe(
      'known: a pod sends from its own addresses only. strict: ports of the bridge without a known pod send nothing. Default off.',
    ),
  attachments: z
    .string()
    .min(1)
    .default('/var/lib/cni/results')
    .describe('Folder in which the container runtime keeps results of CNI plugins. Default /var/lib/cni/results.'),
});

export const EgressAddressSection = z.strictObject({
  ranges: z
    .array(prefix)
    .default([])
    .describe('Ranges that egress addresses of namespaces must be in. Default: none, and no namespace has any.'),
});
