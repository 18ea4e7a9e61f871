/**
 * Which tracked UDP flows lead to where no service leads any more. UDP has no end of its own, so a client that goes on
 * sending from one port would be sent to the old backend for ever. Policies and topology are nothing to a flow that is
 * there: only serving counts. TCP is left alone, since its connections end. Pure.
 */

import type { UdpFlow } from '../../kernel/conntrack.js';
import { endpointOctets, portOctets } from '../../kernel/nftables/elements.js';

export interface UdpExpectations {
  /** endpoint → those who may answer, `address . port`; nobody for frontends that were taken away. */
  readonly servers: ReadonlyMap<string, ReadonlySet<string>>;
  /** Addresses of this node, as octets. */
  readonly nodeAddresses: ReadonlySet<string>;
}

export function staleFlows(flows: readonly UdpFlow[], { servers, nodeAddresses }: UdpExpectations): readonly UdpFlow[] {
  return flows.filter(flow => {
    const expected = servers.get(endpointOctets(flow.destination, 'UDP', flow.port)) ?? nodePort(flow);
    return expected !== undefined && !expected.has(`${flow.replySource}${portOctets(flow.replyPort)}`);
  });

  /** The same port at somebody else's address, which nobody translated, is none of ours. */
  function nodePort({ destination, port, isTranslated }: UdpFlow): ReadonlySet<string> | undefined {
    if (!isTranslated && !nodeAddresses.has(destination)) return undefined;
    return servers.get(endpointOctets('\0'.repeat(destination.length), 'UDP', port));
  }
}
