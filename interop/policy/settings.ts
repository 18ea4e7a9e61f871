/** What a firewall is told where nothing but policies matters: both families, unknown pods closed, nothing logged or cut. */

import type { FirewallSettings } from '../../src/policy/policyFirewall.js';

export const PLAIN_SETTINGS: FirewallSettings = {
  ipv4: true,
  ipv6: true,
  defaultDeny: true,
  podCidrs: [],
  cutBit: undefined,
  log: undefined,
};
