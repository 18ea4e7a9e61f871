/** Which link of the node is which pod's: what CNI plugins said, beside the links that there are. Pure. */

import type { Link } from '../../kernel/links.js';
import type { IpText } from '../../kube/objectTypes.js';
import type { PodName } from '../policyTypes.js';
import type { Attachment } from './cniResult.js';

export interface PodLink {
  readonly pod: PodName;
  /** Name of the node's end. */
  readonly link: string;
  /** It is a port of a bridge. */
  readonly isBridged: boolean;
  readonly addresses: readonly IpText[];
  /** Of the pod's end. */
  readonly lladdr: string | undefined;
}

/** An attachment, and when it was written down (milliseconds since 1970). */
export interface DatedAttachment extends Attachment {
  readonly writtenAt: number;
}

/**
 * Files outlive pods that ended without a word, and names of links come again: what was written last counts. An attachment
 * to a bridge without a hardware address is left out, since nothing could be compared.
 */
export function podLinks(attachments: readonly DatedAttachment[], links: readonly Link[]): readonly PodLink[] {
  const byName = new Map(links.map(link => [link.name, link]));
  const found = new Map<string, PodLink>();
  for (const attachment of [...attachments].sort((a, b) => a.writtenAt - b.writtenAt)) {
    const link = ownLink(attachment, byName);
    if (link === undefined) continue;
    const isBridged = link.master !== null;
    if (isBridged && attachment.lladdr === undefined) continue;
    const { pod, addresses, lladdr } = attachment;
    // A link goes to its new owner's place in order, so that equal inputs give equal lists.
    found.delete(link.name);
    found.set(link.name, { pod, link: link.name, isBridged, addresses, lladdr });
  }
  return [...found.values()];
}

/**
 * The plugin lists the bridge too, and plugins after it list links of their own (the IFB of `bandwidth`): a port of a
 * bridge that is in the list is the pod's, or else the first.
 */
function ownLink({ hostLinks }: Attachment, byName: ReadonlyMap<string, Link>): Link | undefined {
  const candidates = hostLinks.flatMap(name => byName.get(name) ?? []);
  const indices = new Set(candidates.map(({ index }) => index));
  return candidates.find(({ master }) => master !== null && indices.has(master)) ?? candidates[0];
}

/** Ports of a bridge of which no pod is known. */
export function unknownPorts(bridge: string, known: readonly PodLink[], links: readonly Link[]): readonly string[] {
  const index = links.find(({ name }) => name === bridge)?.index;
  const names = new Set(known.map(({ link }) => link));
  return links.flatMap(({ name, master }) =>
    index !== undefined && master === index && !names.has(name) ? [name] : [],
  );
}
