/** Long lists across a thread's border: what changed in them, found by the identity of their members. */

import type { ListChange } from './messages.js';

/** Compares each list with the one before. Members that stayed must be the same objects: that is what makes it cheap. */
export class ListSender<T extends object> {
  private numbers = new Map<T, number>();
  private next = 1;

  change(list: readonly T[]): ListChange<T> {
    const before = this.numbers;
    const now = new Map<T, number>();
    const set: [number, T][] = [];
    for (const member of list) {
      const known = before.get(member);
      const number = known ?? this.next++;
      if (known === undefined) set.push([number, member]);
      now.set(member, number);
    }
    this.numbers = now;
    const removed = [...before].flatMap(([member, number]) => (now.has(member) ? [] : [number]));
    return { set, removed };
  }
}

/** The other end: members are the same objects from list to list for as long as they stay. */
export class ListReceiver<T extends object> {
  private readonly members = new Map<number, T>();

  apply({ set, removed }: ListChange<T>): readonly T[] {
    for (const number of removed) this.members.delete(number);
    for (const [number, member] of set) this.members.set(number, member);
    return [...this.members.values()];
  }
}
