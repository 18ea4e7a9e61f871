/** Which addresses of services the kernel serves in full: what the ordering of announcements wants to know. Pure. */

import type { Frontend, FrontendKey, KeyedChange } from '../../proxy/proxyTypes.js';
import { announcementKey } from './retirement.js';

export interface ProgrammedChange {
  /** Prefix texts of addresses of which every frontend is in the kernel now. */
  readonly programmed: readonly string[];
  /** Of addresses that were, and are in the kernel no more, although nobody retired them. */
  readonly lost: readonly string[];
}

export interface Programmed {
  /** What the backend is told. An address that was served stays so while another port is on its way. */
  want(frontends: KeyedChange<FrontendKey, Frontend>): ProgrammedChange;
  acknowledged(keys: Iterable<FrontendKey>): ProgrammedChange;
  lost(keys: Iterable<FrontendKey>): ProgrammedChange;
  has(key: FrontendKey): boolean;
}

export function createProgrammed(): Programmed {
  /** Wanted frontends of an address, by prefix text. */
  const wanted = new Map<string, Set<FrontendKey>>();
  const placeOf = new Map<FrontendKey, string>();
  const present = new Set<FrontendKey>();
  const served = new Set<string>();

  const forget = (key: FrontendKey): string | undefined => {
    const place = placeOf.get(key);
    present.delete(key);
    placeOf.delete(key);
    if (place !== undefined) wanted.get(place)?.delete(key);
    return place;
  };
  const review = (places: Iterable<string | undefined>): ProgrammedChange => {
    const programmed: string[] = [];
    const lost: string[] = [];
    for (const place of new Set(places)) {
      if (place === undefined) continue;
      const keys = [...(wanted.get(place) ?? [])];
      const isServed = keys.length > 0 && keys.every(key => present.has(key));
      if (keys.length === 0) wanted.delete(place);
      if (isServed) {
        served.add(place);
        programmed.push(place);
      } else if (served.has(place) && !keys.some(key => present.has(key))) {
        served.delete(place);
        lost.push(place);
      }
    }
    return { programmed, lost };
  };
  return {
    want: ({ set, removed }) => {
      const touched = [...removed].map(forget);
      for (const [key, frontend] of set) {
        if (frontend.address === undefined) continue;
        const place = announcementKey({ address: frontend.address, family: frontend.family });
        placeOf.set(key, place);
        wanted.set(place, (wanted.get(place) ?? new Set()).add(key));
        touched.push(place);
      }
      return review(touched);
    },
    acknowledged: keys => {
      const known = [...keys];
      for (const key of known) present.add(key);
      return review(known.map(key => placeOf.get(key)));
    },
    lost: keys => {
      const known = [...keys];
      for (const key of known) present.delete(key);
      return review(known.map(key => placeOf.get(key)));
    },
    has: key => present.has(key),
  };
}
