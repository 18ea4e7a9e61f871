/** Everything by which an agent is observed from outside: its metrics, its health, and the server that tells both. */

import type { Logger } from 'pino';
import { systemClock } from '../../core/clock.js';
import type { PeerSummary } from '../../engine/view.js';
import type { ProblemSet } from '../../kube/problems.js';
import { concernsAll } from './health.js';
import { startHeartbeat } from './heartbeat.js';
import type { Metrics } from './metrics.js';
import { openObserver, type Endpoint } from './observer.js';
import { together } from './together.js';

export interface ObservationOptions {
  readonly settings: { readonly health: Endpoint; readonly metrics: Endpoint & { readonly path: string } };
  readonly metrics: Metrics;
  readonly problems: ProblemSet;
  readonly peers: () => Promise<readonly PeerSummary[]>;
  readonly isConfigured: () => boolean;
  /** What other parts tell where health is told, by path: objects to be sent as JSON. */
  readonly others?: Readonly<Record<string, () => object>>;
  /** Brings up to date what is asked for only when somebody scrapes. */
  readonly beforeScrape?: () => Promise<void>;
  readonly logger: Logger;
}

/** @returns a function that ends it */
export function openObservation(options: ObservationOptions): () => void {
  const { metrics, problems, peers, isConfigured, settings, logger } = options;
  const engine = startHeartbeat(systemClock, peers);
  const scrape = async (): Promise<{ readonly contentType: string; readonly text: string }> => {
    await options.beforeScrape?.();
    const text = await metrics.text(isConfigured() ? await peers() : [], problems.list().length);
    return { contentType: metrics.contentType, text };
  };
  const observer = openObserver({
    ...settings,
    ...(options.others === undefined ? {} : { others: options.others }),
    logger,
    facts: () => ({
      silence: { 'BGP engine': engine.silence() },
      hindrances: problems.list(concernsAll),
      configured: isConfigured(),
    }),
    scrape: together(scrape),
  });
  return () => {
    engine.stop();
    observer.close();
  };
}
