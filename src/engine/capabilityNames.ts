/** Names of what a session has in use, for logs and the API. */

import type { Negotiated } from '../bgp/negotiated.js';

/** In the order people look for them. */
export function capabilityNames(negotiated: Negotiated): string[] {
  const used: readonly (readonly [string, boolean])[] = [
    ['4-octet-as', negotiated.fourOctetAs],
    ['route-refresh', negotiated.routeRefresh],
    ['enhanced-route-refresh', negotiated.enhancedRouteRefresh],
    ['graceful-restart', negotiated.gracefulRestart !== undefined],
    ['extended-messages', negotiated.maxMessage > 4096],
    ['extended-next-hop', negotiated.extendedNextHop.includes(true)],
    ['add-path-receive', negotiated.addPathReceive.includes(true)],
    ['add-path-send', negotiated.addPathSend.includes(true)],
    ['fqdn', negotiated.remoteHostname !== undefined],
  ];
  return used.filter(([, on]) => on).map(([name]) => name);
}
