/**
 * From one shape of the table of the short way to another that differs in its links alone: written as that difference, so that
 * connections between all other links stay where they are. Pure.
 */

import { isDeepStrictEqual } from 'node:util';
import type { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { writeFlowtable, type FlowtableShape } from '../../kernel/nftables/flowtables.js';
import * as message from '../../kernel/nftables/messages.js';
import { OFFLOAD_TABLE, type OffloadShape } from './offloadTable.js';

interface Difference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export interface OffloadChange {
  readonly flowtable: FlowtableShape;
  /** Names of links. */
  readonly devices: Difference;
  /** Octets by set. */
  readonly elements: ReadonlyMap<string, Difference>;
}

/**
 * @param devices that the flowtable has by now: from most kernels they go with their links, in others their names stay; and a
 *   link that was replaced by one of the same name is missing
 * @returns undefined when they differ in more than links
 */
export function offloadChange(
  before: OffloadShape,
  devices: readonly string[],
  after: OffloadShape,
): OffloadChange | undefined {
  if (!isDeepStrictEqual(withoutLinks(before), withoutLinks(after))) return undefined;
  const sets = after.sets.map(
    ({ name }) => [name, difference(before.elements.get(name) ?? [], after.elements.get(name) ?? [])] as const,
  );
  return {
    flowtable: after.flowtable,
    devices: difference(devices, after.flowtable.devices),
    elements: new Map(sets),
  };
}

function withoutLinks({ sets, flowtable, chain }: OffloadShape): unknown {
  return { sets, flowtable: { ...flowtable, devices: [] }, chain };
}

function difference(before: readonly string[], after: readonly string[]): Difference {
  const [old, wanted] = [new Set(before), new Set(after)];
  return {
    added: [...wanted].filter(one => !old.has(one)),
    removed: [...old].filter(one => !wanted.has(one)),
  };
}

/** What goes before what comes: a link that was renamed would be in the flowtable twice. */
export function writeOffloadChange(writer: NetlinkWriter, { flowtable, devices, elements }: OffloadChange): void {
  const table = OFFLOAD_TABLE;
  for (const [command, which] of [
    ['delete', 'removed'],
    ['add', 'added'],
  ] as const) {
    if (devices[which].length > 0) writeFlowtable(writer, command, table, { ...flowtable, devices: devices[which] });
    for (const [set, found] of elements)
      message.writeElements(
        writer,
        command,
        table,
        set,
        found[which].map(key => ({ key, value: undefined })),
      );
  }
}
