/** Why a neighbour is not told a best route: the rules of exportRules.ts and of its update group, for people. */

import type { FamilyIndex } from '../bgp/families.js';
import type { AttrId } from '../rib/attributeStore.js';
import { refusal } from '../rib/exportRules.js';
import { PathFlag, TAG_SHIFT } from '../rib/pathTable.js';
import { LOCAL_PEER, type PeerId } from '../rib/peerTable.js';
import type { Rib } from '../rib/rib.js';
import type { UpdateGroup } from '../rib/updateGroup.js';

/** @param prefix one that has a best path, and that the group does not tell this member */
export function whyUntold(rib: Rib, family: FamilyIndex, prefix: number, group: UpdateGroup, member: PeerId): string {
  const { paths, best } = rib.families[family];
  const row = best[prefix]!;
  const attr = paths.attr[row]! as AttrId;
  const source = paths.peer[row]! as PeerId;
  if (source === member) return 'the best path came from this peer';
  const refused = refusal(group.audience, rib.attributes, attr, rib.peers, source);
  if (refused !== undefined) return refused;
  if (source === LOCAL_PEER && paths.flags[row]! & PathFlag.suppressed) return 'an aggregate is told in its place';
  const by = group.filter?.rejectedBy(
    prefix,
    attr,
    source,
    source === LOCAL_PEER ? paths.flags[row]! >>> TAG_SHIFT : 0,
  );
  group.filter?.clear();
  if (by !== undefined) return `rejected by export policy ${by}`;
  return 'it is being told just now, or cannot be: no next hop that the peer understands, or attributes too large';
}
