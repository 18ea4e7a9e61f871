/** All flags of `peerage agent` that say what the configuration file can say too. */

import type { Flag } from './flag.js';
import { FIREWALL_FLAGS, GENERAL_FLAGS, LOAD_BALANCER_FLAGS, PROXY_FLAGS } from './otherFlags.js';
import { ROUTER_FLAGS } from './routerFlags.js';

export const FLAGS: readonly Flag[] = [
  ...ROUTER_FLAGS,
  ...PROXY_FLAGS,
  ...FIREWALL_FLAGS,
  ...LOAD_BALANCER_FLAGS,
  ...GENERAL_FLAGS,
];
