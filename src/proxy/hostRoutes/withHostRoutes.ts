/**
 * A backend that lets this machine itself reach cluster IPs whatever its other routes are, together with the routes that do
 * so. Impure: opens sockets.
 */

import type { Clock } from '../../core/clock.js';
import type { OpenProxyBackend, ProxyBackend } from '../proxyBackend.js';
import { openHostRoutes, type HostRouteOptions, type HostRoutes } from './hostRoutes.js';

export interface WithHostRoutes {
  readonly clock: Clock;
  readonly onRouteEvent: HostRouteOptions['onEvent'];
}

/**
 * @param open backends that hold cluster IPs on a link of their own, as IPVS does, have such routes already and stay as
 * they are
 */
export function withHostRoutes(open: OpenProxyBackend, { clock, onRouteEvent }: WithHostRoutes): OpenProxyBackend {
  return async onEvent => {
    // Opened first: sockets belong to the network namespace in which they are opened.
    const routes = openHostRoutes({ clock, onEvent: onRouteEvent });
    try {
      const backend = await open(onEvent);
      if (backend.kind === 'nftables') return joined(backend, routes);
      await routes.stop();
      return backend;
    } catch (error) {
      await routes.stop();
      throw error;
    }
  };
}

/** Routes are no part of what a frontend needs to be served: others reach it without them. */
function joined(backend: ProxyBackend, routes: HostRoutes): ProxyBackend {
  return {
    kind: backend.kind,
    configure: settings => {
      backend.configure(settings);
      routes.configure(settings);
    },
    apply: delta => {
      backend.apply(delta);
      routes.apply(delta);
    },
    begin: () => {
      backend.begin();
      routes.begin();
    },
    read: keys => backend.read(keys),
    counters: () => backend.counters(),
    idle: async () => {
      await Promise.all([backend.idle(), routes.idle()]);
    },
    stop: async () => {
      await Promise.all([backend.stop(), routes.stop()]);
    },
  };
}
