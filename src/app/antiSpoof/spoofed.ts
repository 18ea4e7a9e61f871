/** How many packets of which pod were dropped, read from the sets that the rules count in. Impure: asks nft(8). */

import { z } from 'zod';
import type { FoundTable, Nft } from '../../kernel/nft.js';
import type { PodLink } from '../../policy/antiSpoof/podLinks.js';
import { BRIDGE_TABLE, ROUTED_TABLE, SPOOFED } from '../../policy/antiSpoof/spoofTables.js';
import type { PodName } from '../../policy/policyTypes.js';

/** @returns rejects with NftError when nft(8) cannot be asked */
export async function readSpoofed(nft: Nft, known: readonly PodLink[]): Promise<ReadonlyMap<PodName, number>> {
  const byLink = new Map<string, number>();
  for (const { family, name } of [BRIDGE_TABLE, ROUTED_TABLE])
    for (const [link, packets] of countsOf(await nft.readTable(family, name)))
      byLink.set(link, (byLink.get(link) ?? 0) + packets);
  const byPod = new Map<PodName, number>();
  for (const { pod, link } of known) {
    const packets = byLink.get(link);
    if (packets !== undefined) byPod.set(pod, (byPod.get(pod) ?? 0) + packets);
  }
  return byPod;
}

const Counted = z.object({ elem: z.object({ val: z.string(), counter: z.object({ packets: z.number() }) }) });

function countsOf(table: FoundTable | undefined): readonly (readonly [link: string, packets: number])[] {
  const elements = table?.sets.find(({ name }) => name === SPOOFED)?.elem ?? [];
  return elements.flatMap(element => {
    const counted = Counted.safeParse(element);
    return counted.success ? [[counted.data.elem.val, counted.data.elem.counter.packets] as const] : [];
  });
}
