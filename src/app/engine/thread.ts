/** An engine on a thread of its own: neither Kubernetes' objects nor kernel dumps make a keepalive late. Impure. */

import { Worker } from 'node:worker_threads';
import { assertNever } from '../../core/assertNever.js';
import type { EngineOptions } from '../../engine/engineTypes.js';
import { createEngineClient, type EngineClient } from './client.js';
import type { EngineAnswers, EngineRequest, EngineThreadData, FromEngine, ToEngine } from './messages.js';

const WORKER = new URL('./worker.js', import.meta.url);

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** @param failed called once when the thread ends by a bug of ours */
export function startEngineThread(
  { trackNextHops, expectedRoutes, listeners }: EngineOptions,
  failed: (error: Error) => void,
): EngineClient {
  const workerData: EngineThreadData = { trackNextHops, expectedRoutes, changes: listeners.changes !== undefined };
  const worker = new Worker(WORKER, { workerData, name: 'bgp' });
  const waiting = new Map<number, Waiting>();
  let last = 0;

  const settle = (id: number): Waiting | undefined => {
    const one = waiting.get(id);
    waiting.delete(id);
    return one;
  };
  worker.on('message', (message: FromEngine) => {
    switch (message.kind) {
      case 'answer':
        return settle(message.id)?.resolve(message.value);
      case 'failure':
        return settle(message.id)?.reject(new Error(message.text));
      case 'changes':
        return listeners.changes?.(message.batch);
      case 'event': {
        listeners.event(message.event);
        return;
      }
      case 'nextHops': {
        listeners.nextHops(message.added, message.removed);
        return;
      }
      default:
        return assertNever(message);
    }
  });
  worker.once('error', failed);

  const ask = <R extends EngineRequest>(request: R): Promise<EngineAnswers[R['kind']]> =>
    new Promise((resolve, reject) => {
      const id = ++last;
      // The service answers each kind of request with what stands for it in EngineAnswers.
      waiting.set(id, { resolve: value => resolve(value as EngineAnswers[R['kind']]), reject });
      const message: ToEngine = { id, request };
      worker.postMessage(message);
    });
  return createEngineClient(ask, () => worker.terminate());
}
