/** Addresses that this machine has on its real links, and word of every change. Impure: rtnetlink. */

import type { IpAddress } from '../../core/ip.js';
import { decodeInterfaceAddress, writeAddressDump } from '../../kernel/addresses.js';
import { openMonitor, type KernelEvent, type KernelMonitor } from '../../kernel/monitor.js';
import { dumpAll, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import { NetlinkWriter } from '../../kernel/netlink/writer.js';
import { IFA_F_DADFAILED, IFA_F_TENTATIVE } from '../../kernel/rtnetlink.js';
import { findLink } from './serviceLink.js';

export interface LocalAddresses {
  /** Those that can be used, of all links but the services'. */
  read(): Promise<readonly IpAddress[]>;
  /** @param listener told when addresses of any link have changed, or the services' link itself, or may have */
  watch(listener: (what: 'addresses' | 'link') => void): void;
  close(): void;
}

/**
 * @param channel rtnetlink; what it changes is not told
 * @param serviceLink name of the link whose addresses are services'
 * @throws SyscallError
 */
export function openLocalAddresses(channel: NetlinkChannel, serviceLink: string): LocalAddresses {
  const monitor: KernelMonitor = openMonitor({ topics: ['address', 'link'], ignoreCausedBy: channel.portId });
  return {
    read: async () => {
      const link = await findLink(channel, serviceLink);
      const request = new NetlinkWriter(64);
      writeAddressDump(request);
      const all = await dumpAll(channel, request, decodeInterfaceAddress);
      // One that others may have too is refused as a source.
      const usable = all.filter(({ flags }) => (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) === 0);
      return usable.flatMap(({ ifindex, address }) => (ifindex === link?.index ? [] : [address]));
    },
    watch: listener => {
      monitor.subscribe(events => {
        const concerns = (event: KernelEvent): boolean =>
          event.kind === 'overrun' || (event.kind === 'link' && event.link.name === serviceLink);
        // Every pod's link comes and goes: those are nothing to us.
        if (events.some(concerns)) listener('link');
        if (events.some(({ kind }) => kind === 'address' || kind === 'overrun')) listener('addresses');
      });
    },
    close: () => monitor.close(),
  };
}
