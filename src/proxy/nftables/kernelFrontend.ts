/** One frontend as the elements of the table have it, put in words again. Pure. */

import type { KernelBackend, KernelFrontend } from '../proxyBackend.js';
import type { Family, Frontend } from '../proxyTypes.js';
import { describeEndpoint, elementKey, PAD, slotOctets } from './elements.js';
import { parseFan } from './fanChains.js';
import { LOCAL_SLOTS, SETS } from './layout.js';
import { frontendOctets } from './servicePortElements.js';

/** @param present elements and their values @returns undefined when the table does not have it */
export function kernelFrontend(
  frontend: Frontend,
  family: Family,
  present: ReadonlyMap<string, string>,
): KernelFrontend | undefined {
  const octets = frontendOctets(frontend);
  const closed = present.get(elementKey(SETS.unavailable, octets));
  if (closed !== undefined)
    return { key: frontend.key, backends: [], verdict: closed === 'drop' ? 'drop' : 'reject', counters: undefined };
  const isOutside = frontend.policy === 'local' && frontend.shortCircuit;
  const goto = present.get(elementKey(isOutside ? SETS.locals : SETS.services, octets));
  if (goto === undefined) {
    if (!isOutside || !present.has(elementKey(SETS.services, octets))) return undefined;
    return { key: frontend.key, backends: [], verdict: 'drop', counters: undefined };
  }
  const backends = backendsOf(goto.split(' ')[1] ?? '', octets, family, present);
  return { key: frontend.key, backends, verdict: 'forward', counters: undefined };
}

/** Slots of the same backend make its weight. */
function backendsOf(
  chain: string,
  endpoint: string,
  family: Family,
  present: ReadonlyMap<string, string>,
): readonly KernelBackend[] {
  const fan = parseFan(chain);
  if (fan === undefined) return [];
  const identity = present.get(elementKey(SETS.aliases, endpoint)) ?? endpoint;
  const weights = new Map<string, number>();
  for (let slot = 0; slot < fan.slots; slot++) {
    const key = `${PAD}${identity}${slotOctets(slot + (fan.list === 'local' ? LOCAL_SLOTS : 0))}`;
    const target = present.get(elementKey(SETS.backends, key));
    if (target !== undefined) weights.set(target, (weights.get(target) ?? 0) + 1);
  }
  const size = family === 4 ? 4 : 16;
  return [...weights].map(([target, weight]) => ({
    address: describeEndpoint(target.slice(0, size), family),
    port: target.charCodeAt(size) * 256 + target.charCodeAt(size + 1),
    weight,
    activeConnections: undefined,
  }));
}
