/** A listening address: hands over what connects to it, and keeps the TCP-MD5 keys of those who may. RFC 4271 section 8.2.1, RFC 2385. */

import { formatAddress } from '../../core/ip.js';
import type { Listener, ListenerOptions } from './listenerTypes.js';
import type { ListeningSocket } from './socketTypes.js';

/** Begins to listen. Never throws: whatever goes wrong comes as `onError`, and costs this listener alone. */
export function createListener(options: ListenerOptions): Listener {
  const { address, port, sockets } = options;
  const where = `${formatAddress(address)} port ${port}`;
  let closed = false;

  const socket: ListeningSocket = sockets.listen(
    { address, port },
    {
      listening: () => options.onListening?.(),
      accepted: accepted => {
        if (closed) accepted.destroy();
        else options.onConnection(accepted, accepted.endpoints());
      },
      failed: text => options.onError(`cannot listen on ${where}: ${text}`),
    },
  );

  return {
    address,
    port,
    setPassword: (peer, key) => {
      const version = 'length' in peer ? peer.address.version : peer.version;
      if (closed || version !== address.version) return;
      try {
        socket.setPassword(peer, key);
      } catch (error) {
        options.onError(`listener on ${where}: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
    close: () => {
      closed = true;
      socket.close();
    },
  };
}
