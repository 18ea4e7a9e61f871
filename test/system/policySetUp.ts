/** A world of policies for the tests of one file, whose agent enforces them from the first test on. */

import { afterAll, afterEach, beforeAll } from '@jest/globals';
import { PATIENCE, PolicyWorld } from './policyWorld.js';

/** @param kubernetes more of this section of the agent's configuration @returns the world, once tests run */
export function withPolicyWorld(prefix: string, kubernetes: object = {}): () => PolicyWorld {
  let world: PolicyWorld | undefined;
  const built = (): PolicyWorld => {
    if (world === undefined) throw new Error('there is no world of policies yet');
    return world;
  };
  beforeAll(async () => {
    world = await PolicyWorld.build(prefix, kubernetes);
    await world.logged('policies are in force');
  }, 300_000);
  afterEach(async () => {
    await world?.endCalls();
  });
  afterAll(async () => {
    await world?.close();
  }, PATIENCE);
  return built;
}
