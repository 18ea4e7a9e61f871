/**
 * A collection of prefixes, and those among them that are inside no other: together they cover the same addresses, and
 * none overlaps another. Changes are told as they come, without a walk over all where prefixes are of one length.
 */

import { formatPrefix, maskAddress, prefixContains, type IpPrefix } from './ip.js';

export interface PrefixCover {
  /** Takes a prefix in, once more if it is there already. @returns what changed among the outermost: true for in, false for out */
  add(prefix: IpPrefix): ReadonlyMap<string, boolean>;
  /** Takes a prefix out as often as it was taken in. */
  remove(prefix: IpPrefix): ReadonlyMap<string, boolean>;
  /** As canonical text. */
  outermost(): readonly string[];
}

interface Member {
  readonly prefix: IpPrefix;
  count: number;
}

export function createPrefixCover(): PrefixCover {
  /** By family and length, then by text. */
  const shapes = new Map<string, Map<string, Member>>();
  const shapeOf = ({ address, length }: IpPrefix): string => `${address.version}/${length}`;
  const membersOf = (prefix: IpPrefix): Map<string, Member> => {
    const members = shapes.get(shapeOf(prefix)) ?? new Map<string, Member>();
    shapes.set(shapeOf(prefix), members);
    return members;
  };
  const lengths = (version: 4 | 6): readonly number[] =>
    [...shapes.keys()].flatMap(shape => (shape.startsWith(`${version}/`) ? [Number(shape.slice(2))] : []));

  const isCovered = ({ address, length }: IpPrefix): boolean =>
    lengths(address.version).some(shorter => {
      if (shorter >= length) return false;
      const cover = { address: maskAddress(address, shorter), length: shorter };
      return shapes.get(shapeOf(cover))?.has(formatPrefix(cover)) ?? false;
    });
  const inside = (prefix: IpPrefix): readonly [string, Member][] =>
    lengths(prefix.address.version)
      .filter(length => length > prefix.length)
      .flatMap(length => [...(shapes.get(`${prefix.address.version}/${length}`) ?? [])])
      .filter(([, member]) => prefixContains(prefix, member.prefix.address));

  return {
    add: prefix => {
      const members = membersOf(prefix);
      const text = formatPrefix(prefix);
      const member = members.get(text);
      if (member !== undefined) {
        member.count += 1;
        return new Map();
      }
      const changes = new Map<string, boolean>();
      if (!isCovered(prefix)) {
        for (const [other, { prefix: covered }] of inside(prefix)) if (!isCovered(covered)) changes.set(other, false);
        changes.set(text, true);
      }
      members.set(text, { prefix, count: 1 });
      return changes;
    },
    remove: prefix => {
      const members = membersOf(prefix);
      const text = formatPrefix(prefix);
      const member = members.get(text);
      if (member === undefined || --member.count > 0) return new Map();
      members.delete(text);
      if (members.size === 0) shapes.delete(shapeOf(prefix));
      const changes = new Map<string, boolean>();
      if (isCovered(prefix)) return changes;
      changes.set(text, false);
      for (const [other, { prefix: bared }] of inside(prefix)) if (!isCovered(bared)) changes.set(other, true);
      return changes;
    },
    outermost: () =>
      [...shapes.values()].flatMap(members =>
        [...members].flatMap(([text, { prefix }]) => (isCovered(prefix) ? [] : [text])),
      ),
  };
}
