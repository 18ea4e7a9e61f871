/**
 * TCP servers at many addresses of one host, each as a pod would be: it opens, serves, and is gone, with what was still
 * connected cut. Impure.
 *
 * To one octet `?` a server says who it is and whom it sees, and closes first, so that a client's port is soon used again.
 * After `k` it repeats its name for everything it hears, for as long as the client wants. A browser gets a page.
 */

import { LineProcess } from './lineProcess.js';

const PROGRAM = `
const net = require('node:net');
const servers = new Map();
const bare = address => String(address).replace(/^::ffff:/, '');
const page = text => 'HTTP/1.1 200 OK\\r\\ncontent-length: ' + text.length + '\\r\\nconnection: close\\r\\n\\r\\n' + text;
function open({ address, port }, done) {
  const pod = { served: 0, lastAt: 0, sockets: new Set() };
  pod.server = net.createServer({ allowHalfOpen: true }, socket => {
    pod.served++;
    pod.lastAt = Date.now();
    pod.sockets.add(socket);
    socket.on('close', () => pod.sockets.delete(socket)).on('error', () => undefined).on('end', () => socket.end());
    const text = address + ' ' + bare(socket.remoteAddress) + '\\n';
    socket.once('data', first => {
      const [asked] = String(first);
      if (asked === '?') return socket.end(text);
      if (asked !== 'k') return socket.end(page('pod ' + address + ' says hello to ' + bare(socket.remoteAddress) + '\\n'));
      socket.write(text);
      socket.on('data', () => socket.write(text));
    });
  });
  pod.server.on('error', error => done(error.message)).listen({ host: address, port, backlog: 1024 }, () => done('open'));
  servers.set(address, pod);
}
function close({ address }, done) {
  const pod = servers.get(address);
  servers.delete(address);
  const cut = pod.sockets.size;
  pod.server.close();
  for (const socket of pod.sockets) socket.resetAndDestroy();
  done({ cut, served: pod.served, lastAt: pod.lastAt });
}
const served = (_, done) => done([...servers].map(([address, pod]) => [address, pod.served]));
const connected = ({ address }, done) => done(servers.get(address).sockets.size);
const acts = { open, close, served, connected };
require('node:readline').createInterface({ input: process.stdin }).on('line', line => {
  const { id, act, ...rest } = JSON.parse(line);
  acts[act](rest, answer => process.stdout.write(JSON.stringify({ id, answer }) + '\\n'));
}).on('close', () => process.exit(0));
`;

/** What a server looked back on when it was gone. */
export interface ServerEnd {
  /** Connections that were still open. */
  readonly cut: number;
  readonly served: number;
  /** When its last connection came, as Date.now() counts; 0: none ever. */
  readonly lastAt: number;
}

export class PodServers {
  private readonly process: LineProcess;

  /** @param namespace in which all addresses are local already */
  constructor(
    namespace: string,
    private readonly port = 8080,
  ) {
    this.process = new LineProcess(namespace, PROGRAM);
  }

  /** Resolves when it listens. @throws Error when it cannot */
  async open(address: string): Promise<void> {
    const answer = await this.process.ask({ act: 'open', address, port: this.port });
    if (answer !== 'open') throw new Error(`a server at ${address}: ${String(answer)}`);
  }

  async close(address: string): Promise<ServerEnd> {
    return (await this.process.ask({ act: 'close', address })) as ServerEnd;
  }

  /** Connections that came to each server that is open. */
  async served(): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.process.ask({ act: 'served' })) as [string, number][]);
  }

  /** Connections that a server has open. */
  async connected(address: string): Promise<number> {
    return (await this.process.ask({ act: 'connected', address })) as number;
  }

  end(): Promise<void> {
    return this.process.end();
  }
}
