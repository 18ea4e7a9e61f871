/** The entry of an engine's thread: the engine, its sockets and its clock, and messages in and out. Impure. */

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../core/clock.js';
import { createEngine } from '../../engine/engine.js';
import { rehearse } from '../../engine/rehearsal.js';
import { makeResident } from '../../kernel/residentMemory.js';
import { createSocketFactory } from '../../kernel/tcpSocket.js';
import type { RibChanges } from '../../rib/changes.js';
import type { EngineThreadData, FromEngine, ToEngine } from './messages.js';
import { createEngineService } from './service.js';

async function run(
  port: NonNullable<typeof parentPort>,
  { trackNextHops, expectedRoutes, changes }: EngineThreadData,
): Promise<void> {
  const tell = (message: FromEngine): void => port.postMessage(message);
  const engine = createEngine(
    { sockets: createSocketFactory(), clock: systemClock, makeResident },
    {
      trackNextHops,
      ...(expectedRoutes === undefined ? {} : { expectedRoutes }),
      listeners: {
        ...(changes ? { changes: batch => port.postMessage({ kind: 'changes', batch }, buffersOf(batch)) } : {}),
        event: event => tell({ kind: 'event', event }),
        nextHops: (added, removed) => tell({ kind: 'nextHops', added, removed }),
      },
    },
  );
  if (expectedRoutes !== undefined) await rehearse(expectedRoutes, systemClock);
  const answer = createEngineService(engine);
  port.on('message', ({ id, request }: ToEngine) => {
    // Begun in the order of arrival: only `stop` takes time.
    void (async () => {
      try {
        tell({ kind: 'answer', id, value: await answer(request) });
      } catch (error) {
        tell({ kind: 'failure', id, text: error instanceof Error ? (error.stack ?? error.message) : String(error) });
      }
    })();
  });
}

/** Typed arrays of a batch belong to whoever gets it: they are moved, not copied. */
function buffersOf({ addresses, lengths, nextHopSets }: RibChanges): ArrayBuffer[] {
  return [addresses, lengths, nextHopSets].flatMap(({ buffer }) => (buffer instanceof ArrayBuffer ? [buffer] : []));
}

if (parentPort === null) throw new Error('engine/worker.js is the entry of a thread');
await run(parentPort, workerData as EngineThreadData);
