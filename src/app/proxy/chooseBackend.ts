/** Which backend serves services: the one that is asked for, or IPVS where the kernel has it and nftables where not. */

import type { Logger } from 'pino';
import { openIpvsProxy } from '../../proxy/ipvs/ipvsProxy.js';
import { openNftablesProxy } from '../../proxy/nftables/nftablesProxy.js';
import type { OpenProxyBackend, ProxyBackend, ProxyEvent } from '../../proxy/proxyBackend.js';
import type { Kubernetes } from '../config/kubernetesSchema.js';

export interface BackendOpeners {
  readonly nftables: (onEvent: (event: ProxyEvent) => void) => ProxyBackend;
  /** A text says why the kernel has none. */
  readonly ipvs: (onEvent: (event: ProxyEvent) => void) => Promise<ProxyBackend | string>;
}

const OPENERS: BackendOpeners = { nftables: openNftablesProxy, ipvs: openIpvsProxy };

/** What is opened rejects with Error when the mode asked for is none of this kernel's. */
export function chooseBackend(
  mode: Kubernetes['proxy']['mode'],
  logger: Pick<Logger, 'info'>,
  openers: BackendOpeners = OPENERS,
): OpenProxyBackend {
  return async onEvent => {
    if (mode === 'nftables') return openers.nftables(onEvent);
    const opened = await openers.ipvs(onEvent);
    if (typeof opened !== 'string') return opened;
    if (mode === 'ipvs') throw new Error(`services cannot be served in the mode ipvs that was asked for: ${opened}`);
    logger.info({ why: opened }, 'services are served by nftables instead of IPVS');
    return openers.nftables(onEvent);
  };
}
