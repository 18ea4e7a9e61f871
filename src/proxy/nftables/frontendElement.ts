/** The value of an element of `frontends`: what is done with packets to it, and to which service port it belongs. Pure. */

import { fanOfOctets, fanOctets, NO_FAN, type Fan } from './fanChains.js';
import { policyOctets } from './layout.js';
import { IDENTITY_SIZE } from './serviceIdentity.js';

export interface FrontendElement {
  /** Number of a policy chain, or 0. */
  readonly policy: number;
  readonly fan: Fan;
  /** For traffic from outside where that has a list of its own; undefined: such traffic is dropped, or it has none. */
  readonly local: Fan | undefined;
  readonly identity: string;
}

export function frontendElementOctets({ policy, fan, local, identity }: FrontendElement): string {
  return `${policyOctets(policy)}${fanOctets(fan)}${local === undefined ? NO_FAN : fanOctets(local)}${identity}`;
}

/** @returns undefined for octets that are none */
export function parseFrontendElement(octets: string): FrontendElement | undefined {
  const fan = fanOfOctets(octets.slice(4, 12));
  if (fan === undefined || octets.length !== 20 + IDENTITY_SIZE) return undefined;
  return {
    policy: octets.charCodeAt(3),
    fan,
    local: fanOfOctets(octets.slice(12, 20)),
    identity: identityOfElement(octets),
  };
}

/** Without a look at the rest. */
export function identityOfElement(octets: string): string {
  return octets.slice(-IDENTITY_SIZE);
}
