/** The overlay's section of the agent's configuration. */

import { z } from 'zod';
import { DEFAULT_OVERLAY, type OverlayOptions } from '../fib/overlay/overlayOptions.js';

/** Least MTU of a link with IPv6 (RFC 8200), and what the largest tunnel header leaves of it must still be of use. */
const MIN_MTU = 1280;
const MAX_MTU = 65535;

export const OverlaySection = z.strictObject({
  enabled: z
    .boolean()
    .default(DEFAULT_OVERLAY.enabled)
    .describe(
      'Reach nodes in other subnets through tunnels. Off: no route to their pods; the network has to know the way.',
    ),
  type: z
    .enum(['subnet', 'full'])
    .default(DEFAULT_OVERLAY.type)
    .describe(
      'subnet: tunnels only to nodes that are in none of our own subnets; full: to every node. Default subnet.',
    ),
  encapsulation: z
    .enum(['ipip', 'fou', 'vxlan'])
    .default(DEFAULT_OVERLAY.encapsulation)
    .describe(
      'What tunnels are made of: ipip (RFC 2003, 2473), fou (the same in GUE over UDP) or vxlan (RFC 7348). Default ipip.',
    ),
  port: z.int().min(1024).max(65535).optional().describe('UDP port of fou and vxlan. Default 5555 and 4789.'),
  vni: z
    .int()
    .min(0)
    .max(0xff_ffff)
    .default(DEFAULT_OVERLAY.vni)
    .describe('VXLAN network identifier, the same on all nodes. Default 186.'),
  underlayMtu: z
    .int()
    .min(MIN_MTU)
    .max(MAX_MTU)
    .optional()
    .describe("Most octets of a packet between nodes. Default: what the link with the node's address takes."),
});
export type OverlaySection = z.infer<typeof OverlaySection>;

export function overlayOptions({ port, underlayMtu, ...section }: OverlaySection): OverlayOptions {
  return { ...section, port: port ?? null, underlayMtu: underlayMtu ?? null };
}
