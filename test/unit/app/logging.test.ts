import { describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Writable } from 'node:stream';
import { createEngineLog, logEngineEvent, logFibEvent } from '../../../src/app/logging.js';
import type { EngineEvent } from '../../../src/engine/engineTypes.js';
import type { FibEvent } from '../../../src/fib/fibTypes.js';

/** Levels and messages of what `log` writes, at level debug. */
function linesOf(log: (logger: pino.Logger) => void): unknown[] {
  const lines: unknown[] = [];
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  log(pino({ level: 'debug', base: null, timestamp: false, formatters: { level: label => ({ level: label }) } }, sink));
  return lines;
}

describe('one line for each event', () => {
  test.each<[EngineEvent, object]>([
    [
      { kind: 'stateChanged', peer: 'a', state: 'OpenSent' },
      { level: 'debug', peer: 'a', state: 'OpenSent', msg: 'session state changed' },
    ],
    [
      { kind: 'peerUp', peer: 'a', address: '10.0.0.2', asn: 65001, holdTime: 90, capabilities: ['4-octet-as'] },
      {
        level: 'info',
        peer: 'a',
        address: '10.0.0.2',
        asn: 65001,
        holdTime: 90,
        capabilities: ['4-octet-as'],
        msg: 'session up',
      },
    ],
    [
      {
        kind: 'peerDown',
        peer: 'a',
        reason: { kind: 'notificationReceived', code: 6, subcode: 2, text: 'Cease/Administrative Shutdown' },
        staleKept: false,
      },
      { level: 'warn', peer: 'a', reason: 'Cease/Administrative Shutdown', staleKept: false, msg: 'session down' },
    ],
    [
      { kind: 'peerDown', peer: 'a', reason: { kind: 'stopped', text: 'stopped' }, staleKept: false },
      { level: 'info', peer: 'a', reason: 'stopped', staleKept: false, msg: 'session down' },
    ],
    [
      { kind: 'listenFailed', address: '10.0.0.1 port 179', text: 'EADDRINUSE' },
      { level: 'error', address: '10.0.0.1 port 179', reason: 'EADDRINUSE', msg: 'cannot listen' },
    ],
    [
      { kind: 'dynamicPeerRefused', address: '10.0.0.9', group: 'g', limit: 5 },
      {
        level: 'warn',
        address: '10.0.0.9',
        group: 'g',
        limit: 5,
        msg: 'dynamic peer refused: the limit is reached',
      },
    ],
    [
      { kind: 'malformedUpdate', peer: 'a', problems: ['ORIGIN'], verdict: 'treated as withdraw' },
      {
        level: 'warn',
        peer: 'a',
        problems: ['ORIGIN'],
        verdict: 'treated as withdraw',
        msg: 'malformed UPDATE (RFC 7606)',
      },
    ],
    [
      { kind: 'converged', waitedSeconds: 1.23456, missing: [] },
      { level: 'info', waitedSeconds: 1.23, missing: [], msg: 'first exchange of routes is over' },
    ],
  ])('%j', (event, line) => {
    expect(linesOf(logger => logEngineEvent(logger, event))).toEqual([line]);
  });

  test('that a peer cannot be reached is told once for each reason, and again after it was up', () => {
    const failed = (text: string, peer = 'a'): EngineEvent => ({ kind: 'attemptFailed', peer, text });
    const up: EngineEvent = { kind: 'peerUp', peer: 'a', address: '', asn: 1, holdTime: 90, capabilities: [] };
    const events = [failed('x'), failed('x'), failed('x', 'b'), failed('y'), failed('x'), up, failed('x'), failed('x')];
    const lines = linesOf(logger => events.forEach(createEngineLog(logger))) as { level: string }[];
    expect(lines.map(({ level }) => level)).toEqual(['info', 'debug', 'info', 'info', 'info', 'info', 'info', 'debug']);
  });

  test.each<[FibEvent, string[]]>([
    [{ kind: 'adopted', family: 'ipv4-unicast', routes: 0 }, []],
    [{ kind: 'adopted', family: 'ipv4-unicast', routes: 3 }, ['info']],
    [{ kind: 'swept', family: 'ipv6-unicast', routes: 0 }, []],
    [{ kind: 'failed', family: 'ipv4-unicast', routes: { count: 1, first: [] } }, ['error']],
    [{ kind: 'drift', family: 'ipv4-unicast', routes: { count: 1, first: ['10.0.0.0/24'] } }, ['warn']],
    [{ kind: 'error', text: 'ENOBUFS' }, ['error']],
  ])('%j', (event, levels) => {
    const lines = linesOf(logger => logFibEvent(logger, event)) as { level: string }[];
    expect(lines.map(({ level }) => level)).toEqual(levels);
  });
});
