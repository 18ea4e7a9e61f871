/** Log lines: one for each event an operator cares about, nothing per route, never a secret. */

import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { DownReason } from '../bgp/session/sessionTypes.js';
import { FAMILIES } from '../bgp/families.js';
import { assertNever } from '../core/assertNever.js';
import type { EngineEvent } from '../engine/engineTypes.js';
import type { FibEvent } from '../fib/fibTypes.js';

export type LogFormat = 'json' | 'pretty';

/** Logs to standard error; pretty on a terminal unless told otherwise. */
export function createLogger(level: string, format: LogFormat | undefined): Logger {
  const chosen = format ?? (process.stderr.isTTY ? 'pretty' : 'json');
  const options = { level, redact: ['password', '*.password', '*.*.password'], base: null };
  if (chosen === 'json') return pino(options, pino.destination({ fd: 2, sync: true }));
  return pino(options, pretty({ destination: 2, sync: true, translateTime: 'SYS:HH:MM:ss.l', singleLine: true }));
}

/** Logs events as they come; that a peer cannot be reached is told once, and again only when the reason changes. */
export function createEngineLog(logger: Logger): (event: EngineEvent) => void {
  const failures = new Map<string, string>();
  const isRepeated = (event: EngineEvent): boolean => {
    if (event.kind === 'peerUp') failures.delete(event.peer);
    if (event.kind !== 'attemptFailed') return false;
    const before = failures.get(event.peer);
    failures.set(event.peer, event.text);
    return before === event.text;
  };
  return event => {
    if (isRepeated(event)) logger.debug(event, 'session still cannot be set up');
    else logEngineEvent(logger, event);
  };
}

export function logEngineEvent(logger: Logger, event: EngineEvent): void {
  switch (event.kind) {
    case 'stateChanged':
      logger.debug({ peer: event.peer, state: event.state }, 'session state changed');
      return;
    case 'peerUp': {
      const { peer, address, asn, holdTime, capabilities } = event;
      logger.info({ peer, address, asn, holdTime, capabilities }, 'session up');
      return;
    }
    case 'peerDown':
      logger[event.reason.kind === 'stopped' ? 'info' : 'warn'](
        { peer: event.peer, reason: reasonText(event.reason), staleKept: event.staleKept },
        event.staleKept ? 'session down; its routes are kept while it restarts' : 'session down',
      );
      return;
    case 'attemptFailed':
      logger.info({ peer: event.peer, reason: event.text }, 'session could not be set up; trying again');
      return;
    case 'endOfRib':
      logger.debug({ peer: event.peer, family: FAMILIES[event.family] }, 'end of RIB received');
      return;
    case 'prefixLimit': {
      const { peer, count, limit, isExceeded } = event;
      const fields = { peer, family: FAMILIES[event.family], count, limit: limit.limit };
      if (!isExceeded) logger.warn(fields, 'the peer has told nearly as many prefixes as it may');
      else logger.warn({ ...fields, action: limit.action }, 'the peer has told more prefixes than it may');
      return;
    }
    case 'staleSwept':
      logger.info({ peer: event.peer, paths: event.paths }, 'paths that were not announced again are removed');
      return;
    case 'malformedUpdate':
      logger.warn(
        { peer: event.peer, problems: event.problems, verdict: event.verdict },
        'malformed UPDATE (RFC 7606)',
      );
      return;
    case 'dynamicPeerRefused':
      logger.warn(
        { address: event.address, group: event.group, limit: event.limit },
        'dynamic peer refused: the limit is reached',
      );
      return;
    case 'connectionRefused':
      logger.info({ address: event.address, reason: event.text }, 'connection refused');
      return;
    case 'listening':
      logger.info({ address: event.address }, 'listening');
      return;
    case 'listenFailed':
      logger.error({ address: event.address, reason: event.text }, 'cannot listen');
      return;
    case 'converged':
      logger.info(
        { waitedSeconds: round(event.waitedSeconds), missing: event.missing },
        'first exchange of routes is over',
      );
      return;
    default:
      assertNever(event);
  }
}

export function logFibEvent(logger: Logger, event: FibEvent): void {
  switch (event.kind) {
    case 'adopted':
      if (event.routes > 0) logger.info({ family: event.family, routes: event.routes }, 'kernel routes adopted');
      return;
    case 'swept':
      if (event.routes > 0)
        logger.info({ family: event.family, routes: event.routes }, 'kernel routes nobody wants any more are removed');
      return;
    case 'failed':
      logger.error({ family: event.family, routes: event.routes }, 'the kernel refused routes; trying again');
      return;
    case 'recovered':
      logger.info({ family: event.family, routes: event.routes }, 'routes the kernel had refused are in place');
      return;
    case 'conflict':
      logger.warn(
        { family: event.family, routes: event.routes },
        'foreign routes stand in the place of ours and are left alone',
      );
      return;
    case 'drift':
      logger.warn(
        { family: event.family, routes: event.routes },
        'somebody changed or removed routes of ours; putting them back',
      );
      return;
    case 'error':
      logger.error({ reason: event.text }, 'the kernel could not be read or written; trying again');
      return;
    default:
      assertNever(event);
  }
}

function reasonText(reason: DownReason): string {
  return reason.text;
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
