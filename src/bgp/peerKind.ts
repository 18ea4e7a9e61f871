/** Where a route comes from, as a number for columns: this router, a peer of the same AS, a peer of another. */

export const PeerKind = { local: 0, ibgp: 1, ebgp: 2 } as const;
export type PeerKindValue = (typeof PeerKind)[keyof typeof PeerKind];
