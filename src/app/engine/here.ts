/** An engine on this thread: for a route reflector, which has nothing else to do and no memory to give away. */

import { systemClock } from '../../core/clock.js';
import { createEngine } from '../../engine/engine.js';
import type { EngineOptions } from '../../engine/engineTypes.js';
import { rehearse } from '../../engine/rehearsal.js';
import { makeResident } from '../../kernel/residentMemory.js';
import { createSocketFactory } from '../../kernel/tcpSocket.js';
import { createEngineClient, type EngineClient } from './client.js';
import type { EngineAnswers, EngineRequest } from './messages.js';
import { createEngineService } from './service.js';

export async function startEngineHere(options: EngineOptions): Promise<EngineClient> {
  const engine = createEngine({ sockets: createSocketFactory(), clock: systemClock, makeResident }, options);
  if (options.expectedRoutes !== undefined) await rehearse(options.expectedRoutes, systemClock);
  const answer = createEngineService(engine);
  // The service answers each kind of request with what stands for it in EngineAnswers.
  const ask = async <R extends EngineRequest>(request: R): Promise<EngineAnswers[R['kind']]> =>
    (await answer(request)) as EngineAnswers[R['kind']];
  return createEngineClient(ask, () => undefined);
}
