/** The import filters of one neighbour: made anew, and applied to what is held, when what they say changes. */

import { FAMILY_INDICES, type PerFamily } from '../bgp/families.js';
import type { Negotiated } from '../bgp/negotiated.js';
import type { IpAddress } from '../core/ip.js';
import type { AttrId } from '../rib/attributeStore.js';
import type { PeerId } from '../rib/peerTable.js';
import { createImportFilter, type ImportFilter } from '../rib/policy/importFilter.js';
import type { Rib } from '../rib/rib.js';
import type { PeerRouting } from './engineTypes.js';
import type { Policies } from './policies.js';

type Filters = PerFamily<ImportFilter | undefined>;

export class Importing {
  private filters: Filters = [undefined, undefined];
  private key = '';

  constructor(
    private readonly rib: Rib,
    private readonly policies: Policies,
    private readonly id: PeerId,
    private readonly address: IpAddress,
  ) {}

  /** The filters for a session; what is held from the peer passes them over the following pumps, if they are new. */
  adopt({ kind, localAsn, remoteAsn }: Negotiated, routing: PeerRouting): Filters {
    const outside = kind === 'ebgp';
    const choice = { names: routing.importPolicy ?? [], isRequired: outside && routing.requirePolicy === true };
    const honorGracefulShutdown = outside && routing.honorGracefulShutdown !== false;
    const key = JSON.stringify([this.policies.keyOf(choice), honorGracefulShutdown, localAsn, remoteAsn]);
    if (key === this.key) return this.filters;
    this.key = key;
    const make = (family: 0 | 1): ImportFilter | undefined => {
      const subject = {
        direction: 'import',
        family,
        ownAsn: localAsn,
        peerAsn: remoteAsn,
        peerAddress: this.address,
      } as const;
      const rules = { chain: this.policies.chain(choice, subject), honorGracefulShutdown };
      return createImportFilter(rules, this.id, this.policies.columns(family));
    };
    // What the old ones hold on to is given up at the end of the read they were used in.
    this.filters = [make(0), make(1)];
    for (const family of FAMILY_INDICES) {
      if (this.rib.families[family].received[this.id]! > 0) {
        this.rib.refilter(family, this.id, () => this.filters[family]);
      }
    }
    return this.filters;
  }

  /** Policy and term that keep a received route out of the decision. */
  rejectedBy(family: 0 | 1, prefix: number, received: AttrId): string | undefined {
    const filter = this.filters[family];
    const by = filter?.rejectedBy(prefix, received);
    filter?.clear();
    return by;
  }
}
