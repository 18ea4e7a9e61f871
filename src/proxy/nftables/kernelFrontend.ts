/** One frontend as the elements of the table have it, put in words again. Pure. */

import type { KernelBackend, KernelFrontend } from '../proxyBackend.js';
import type { Family, Frontend } from '../proxyTypes.js';
import { describeEndpoint, elementKey, slotOctets } from '../../kernel/nftables/elements.js';
import { LOCAL_SLOTS, type Fan } from './fanChains.js';
import { parseFrontendElement } from './frontendElement.js';
import { backendsSet, SETS } from './layout.js';
import type { ElementLookup } from './lookUp.js';
import { frontendOctets } from './servicePortElements.js';

/** @param present elements and their values @returns undefined when the table does not have it */
export function kernelFrontend(frontend: Frontend, family: Family, present: ElementLookup): KernelFrontend | undefined {
  const octets = frontendOctets(frontend);
  const closed = present.get(elementKey(SETS.unavailable, octets));
  if (closed !== undefined)
    return { key: frontend.key, backends: [], verdict: closed === 'drop' ? 'drop' : 'reject', counters: undefined };
  const octetsOfElement = present.get(elementKey(SETS.frontends, octets));
  const element = octetsOfElement === undefined ? undefined : parseFrontendElement(octetsOfElement);
  if (element === undefined) return undefined;
  const fan = frontend.policy === 'local' && frontend.shortCircuit ? element.local : element.fan;
  if (fan === undefined) return { key: frontend.key, backends: [], verdict: 'drop', counters: undefined };
  const backends = backendsOf(fan, element.identity, family, present);
  return { key: frontend.key, backends, verdict: 'forward', counters: undefined };
}

/** Slots of the same backend make its weight. */
function backendsOf(
  { list, slots, shard }: Fan,
  identity: string,
  family: Family,
  present: ElementLookup,
): readonly KernelBackend[] {
  const first = list === 'local' ? LOCAL_SLOTS : 0;
  const weights = new Map<string, number>();
  for (let slot = 0; slot < slots; slot++) {
    const target = present.get(elementKey(backendsSet(shard), `${slotOctets(first + slot)}${identity}`));
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
