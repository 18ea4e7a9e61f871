/** `node answers.js`: listens at the ports of all endpoints, whatever the address, and says which port it is. Impure. */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { TARGETS } from './cluster.js';

for (const port of TARGETS) {
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    socket.end(String(port));
  });
  server.listen({ host: '0.0.0.0', port, backlog: 1024 });
  await once(server, 'listening');
}
console.log('ready');
