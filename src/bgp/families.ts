/** Address families (RFC 4760). On hot paths a family is its index here; at the edges it is its name. */

export const FAMILIES = ['ipv4-unicast', 'ipv6-unicast'] as const;
export type Family = (typeof FAMILIES)[number];

/** Index into {@link FAMILIES}. */
export type FamilyIndex = 0 | 1;
export const IPV4_UNICAST: FamilyIndex = 0;
export const IPV6_UNICAST: FamilyIndex = 1;
export const FAMILY_INDICES: readonly FamilyIndex[] = [0, 1];

/** One flag for each family, indexed by {@link FamilyIndex}. */
export type PerFamily<T> = readonly [T, T];

export function familyIndex(family: Family): FamilyIndex {
  return family === 'ipv4-unicast' ? 0 : 1;
}

/** AFI of the family (IANA "Address Family Numbers"); the SAFI of both is 1, unicast. */
export function afiOf(family: FamilyIndex): 1 | 2 {
  return family === 0 ? 1 : 2;
}

export function familyOf(afi: number, safi: number): FamilyIndex | undefined {
  return safi !== 1 ? undefined : afi === 1 ? 0 : afi === 2 ? 1 : undefined;
}
