/**
 * Whether the pods of this node may have a connection, judged by addresses alone, as the kernel judges: the sets that rules
 * refer to are asked instead of objects. The order of tiers is the verdict's. Pure.
 */

import { parseAddress, type IpAddress } from '../../core/ip.js';
import type { IpText, Protocol } from '../../kube/objectTypes.js';
import { inBlock } from '../membership.js';
import type { PolicyModel } from '../policyModel.js';
import { portElement, portSetKey, type Direction, type LocalPod, type Peer, type PortMatch } from '../policyTypes.js';
import { decide, isAccepting } from '../verdict.js';

/** What pods see of a connection: its first packet after a service's address was replaced, before masquerading. */
export interface AddressedConnection {
  readonly from: IpText;
  readonly to: IpText;
  /** Undefined: one without ports, which only rules without ports speak of. */
  readonly protocol: Protocol | undefined;
  readonly port: number;
}

/** What the model knows of this node. */
export type JudgedModel = Pick<PolicyModel, 'localPods' | 'groups' | 'portSets'>;

/** @returns whether it is allowed, as far as pods of this node are concerned */
export type AddressJudge = (connection: AddressedConnection) => boolean;

/**
 * Of the model as it is now: to be made anew when the model has changed.
 * @param nodeAddresses of this node, all of them: what comes from there is the node's own
 */
export function createAddressJudge(model: JudgedModel, nodeAddresses: ReadonlySet<IpText>): AddressJudge {
  const local = new Map<IpText, LocalPod>();
  for (const pod of model.localPods.values()) for (const address of pod.pod.addresses) local.set(address, pod);
  return connection => {
    const [sender, receiver] = [local.get(connection.from), local.get(connection.to)];
    if (sender !== undefined && sender === receiver) return true;
    const end = (direction: Direction, self: LocalPod | undefined, other: IpText): boolean =>
      self === undefined || allows(model, connection, direction, self, other, nodeAddresses.has(other));
    return end('egress', sender, connection.to) && end('ingress', receiver, connection.from);
  };
}

function allows(
  model: JudgedModel,
  connection: AddressedConnection,
  direction: Direction,
  { governing }: LocalPod,
  other: IpText,
  ownNode: boolean,
): boolean {
  const policies = governing[direction];
  if (policies.length === 0) return true;
  const address = parsed(other);
  const decision = decide(
    policies,
    direction,
    ({ peers, ports }) =>
      (peers === undefined || peers.some(peer => peerHolds(model, peer, other, address))) &&
      (ports === undefined || ports.some(match => portHolds(model, match, direction, connection))),
    ownNode,
  );
  return isAccepting(decision);
}

function peerHolds(model: JudgedModel, peer: Peer, other: IpText, address: IpAddress | undefined): boolean {
  if (peer.kind === 'group') return model.groups.get(peer.key)?.has(other) ?? false;
  return address !== undefined && inBlock(peer, address);
}

function portHolds(
  model: JudgedModel,
  match: PortMatch,
  direction: Direction,
  { to, protocol, port }: AddressedConnection,
): boolean {
  if (protocol === undefined) return false;
  if (match.kind === 'range') return match.protocol === protocol && match.first <= port && port <= match.last;
  const key = portSetKey(direction === 'ingress' ? 'local' : 'all', match.protocol, match.name);
  return model.portSets.get(key)?.has(portElement(to, protocol, port)) ?? false;
}

function parsed(text: IpText): IpAddress | undefined {
  const address = parseAddress(text);
  return address.ok ? address.value : undefined;
}
