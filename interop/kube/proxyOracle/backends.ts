/**
 * Endpoints: `node backends.js ADDRESS… < /dev/null` listens on the ports of all endpoints at these addresses,
 * TCP, UDP and SCTP,
 * says `ready`, and answers everybody with its address, its port and the address that it sees the client at. Impure.
 */

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { BACKEND_PORTS } from './addresses.js';
import { serveSctp } from './sctp.js';

for (const address of process.argv.slice(2)) {
  for (const port of BACKEND_PORTS) {
    await listenTcp(address, port);
    await listenUdp(address, port);
  }
  serveSctp(address, BACKEND_PORTS);
}
console.log('ready');

async function listenTcp(host: string, port: number): Promise<void> {
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    socket.end(`${host} ${port} ${socket.remoteAddress ?? ''}\n`);
  });
  server.listen({ host, port, backlog: 1024 });
  await once(server, 'listening');
}

async function listenUdp(host: string, port: number): Promise<void> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (_, from) => socket.send(`${host} ${port} ${from.address}`, from.port, from.address));
  socket.bind(port, host);
  await once(socket, 'listening');
}
