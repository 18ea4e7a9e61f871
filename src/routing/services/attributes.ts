/** What a Service's annotations say of how its addresses are announced: annotations of our own, beside kube-router's. */

import { inForce, NO_COMMUNITIES, parseNumber, read, readCommunities, type Annotations } from '../annotations.js';
import type { NetworkAttributes } from '../routingOptions.js';

const COMMUNITIES = 'peerage.io/service.bgp.communities';
const LOCAL_PREF = 'peerage.io/service.bgp.local-pref';
const MED = 'peerage.io/service.bgp.med';

const LARGEST = 0xffff_ffff;

export function serviceAttributes(annotations: Annotations): {
  readonly attributes: NetworkAttributes;
  readonly complaints: readonly string[];
} {
  const { standard, large, ...communities } = readSet(annotations);
  const localPref = readNumber(annotations, LOCAL_PREF);
  const med = readNumber(annotations, MED);
  return {
    attributes: {
      ...(standard.length === 0 ? {} : { communities: standard }),
      ...(large.length === 0 ? {} : { largeCommunities: large }),
      ...(localPref.value === undefined ? {} : { localPref: localPref.value }),
      ...(med.value === undefined ? {} : { med: med.value }),
    },
    complaints: [...communities.complaints, ...localPref.complaints, ...med.complaints],
  };
}

function readSet(annotations: Annotations) {
  const { value, complaints } = inForce(COMMUNITIES, readCommunities(annotations[COMMUNITIES]), NO_COMMUNITIES);
  return { ...value, complaints };
}

function readNumber(
  annotations: Annotations,
  key: string,
): { readonly value: number | undefined; readonly complaints: readonly string[] } {
  const text = annotations[key];
  if (text === undefined) return { value: undefined, complaints: [] };
  const reading = read(parseNumber(text, LARGEST));
  return reading.readable
    ? { value: reading.value, complaints: [] }
    : { value: undefined, complaints: reading.complaints.map(why => `annotation ${key}: ${why}; it is left out`) };
}
