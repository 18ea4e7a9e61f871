/** Who asks: in which namespace of a world, and from which of its addresses. Pure. */

import * as at from './addresses.js';

export interface Client {
  readonly name: string;
  /** Namespace. */
  readonly host: 'outside' | 'node' | 'caller' | 'pod1' | 'pod2' | 'pod3';
  /** Absent: as the kernel chooses. */
  readonly from?: at.Place;
}

export const CLIENTS: readonly Client[] = [
  { name: 'the neighbour', host: 'outside' },
  { name: 'a host far outside', host: 'outside', from: at.FAR_OUTSIDE },
  { name: 'the node', host: 'node' },
  { name: 'pod 1', host: 'pod1' },
  { name: 'pod 2', host: 'pod2' },
  { name: 'a pod of the other node', host: 'caller', from: at.CALLER.pods[0]! },
];

const HOSTS: Readonly<Record<Client['host'], at.Place>> = {
  outside: at.OUTSIDE,
  node: at.NODE,
  caller: at.CALLER.address,
  pod1: at.LOCAL_PODS[0]!,
  pod2: at.LOCAL_PODS[1]!,
  pod3: at.LOCAL_PODS[2]!,
};

/** What a client is seen at where nobody masquerades it. */
export function addressesOf({ host, from = HOSTS[host] }: Client): readonly string[] {
  return [from[4], from[6]];
}
