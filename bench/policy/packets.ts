/**
 * What rules cost a packet. A pod sends UDP through its node to the world; the kernel forwards each packet before send()
 * returns, so that the time of many sends is the time of the whole way. Impure.
 */

import koffi from 'koffi';
import { execFileSync } from 'node:child_process';
import { inNamespace } from '../../lab/topology/inNamespace.js';
import { libc } from '../../src/kernel/libc.js';

const sysSocket = libc.func('int socket(int, int, int)');
const sysBind = libc.func('int bind(int, const void *, unsigned int)');
const sysConnect = libc.func('int connect(int, const void *, unsigned int)');
const sysSendmmsg = libc.func('int sendmmsg(int, const void *, unsigned int, int)');
const sysClose = libc.func('int close(int)');

/** Packets in one call. */
const AT_ONCE = 64;
const PAYLOAD = 64;
const [MMSGHDR, IOVEC, SOCKADDR] = [64, 16, 16];
const WORLD = '198.18.0.1';
const PORT = 9000;

export interface Way {
  /** Nanoseconds for each of `count` packets of a flow that is established. */
  established(count: number): number;
  /** The same for the first packets of flows, each to an address of its own. */
  first(count: number): number;
  /** Packets that came to the world so far. */
  arrived(): number;
  /** Packets that were sent to it. */
  readonly sent: number;
  close(): void;
}

/**
 * A pod and the world, plugged into a node's namespace.
 * @param name of the two namespaces, with -p and -w behind it
 * @throws Error when ip(8) fails or the kernel refuses a socket
 */
export function buildWay(node: string, name: string, pod: string): Way {
  const [inside, world] = [`${name}-p`, `${name}-w`];
  for (const made of [inside, world]) ip('netns', 'add', made);
  plug(node, 'pod0', inside);
  plug(node, 'world0', world);
  run(node, `addr add 10.0.0.1/32 dev lo`);
  run(inside, `addr add ${pod}/32 dev eth0`);
  run(inside, 'route add 10.0.0.1/32 dev eth0');
  run(inside, 'route add default via 10.0.0.1');
  run(node, `route add ${pod}/32 dev pod0`);
  run(node, 'route add 198.18.0.0/15 dev world0');
  run(world, `addr add ${WORLD}/15 dev eth0`);
  run(world, 'route add 10.0.0.1/32 dev eth0');
  run(world, 'route add default via 10.0.0.1');
  execFileSync('ip', [
    'netns',
    'exec',
    node,
    'sysctl',
    '-qw',
    'net.ipv4.ip_forward=1',
    'net.ipv4.conf.all.rp_filter=0',
  ]);
  // Nobody answers for the addresses of first packets: their frames shall leave all the same.
  run(node, 'link set world0 arp off');
  run(node, `neigh replace ${WORLD} lladdr ${lladdrOf(world, 'eth0')} dev world0 nud permanent`);
  run(world, `neigh replace 10.0.0.1 lladdr ${lladdrOf(node, 'world0')} dev eth0 nud permanent`);
  return openWay(inside, world, pod);
}

function openWay(inside: string, world: string, pod: string): Way {
  const sender = inNamespace(inside, () => udp(address(pod, PORT), address(WORLD, PORT)));
  const receiver = inNamespace(world, () => udp(address(WORLD, PORT), address(pod, PORT)));
  const wild = inNamespace(inside, () => udp(address(pod, PORT + 1)));
  const steady = messages(Array.from({ length: AT_ONCE }, () => undefined));
  send(sender, steady, 1);
  const answered = rxPackets(inside);
  // With an answer, the flow is established.
  send(receiver, steady, 1);
  if (rxPackets(inside) === answered) throw new Error('the answer did not arrive: the flow is not established');
  let [next, sent] = [2, 1];
  const sendSome = (socket: number, some: Messages): void => {
    send(socket, some, AT_ONCE);
    sent += AT_ONCE;
  };
  return {
    get sent() {
      return sent;
    },
    arrived: () => rxPackets(world),
    established: count => timed(count, () => sendSome(sender, steady)),
    first: count => {
      const bundles = Array.from({ length: Math.ceil(count / AT_ONCE) }, () =>
        messages(
          Array.from({ length: AT_ONCE }, () =>
            address(`198.${18 + (next >>> 16)}.${(next >>> 8) & 255}.${next++ & 255}`, PORT),
          ),
        ),
      );
      let i = 0;
      return timed(count, () => sendSome(wild, bundles[i++ % bundles.length]!));
    },
    close: () => [sender, receiver, wild].forEach(socket => void sysClose(socket)),
  };
}

/** @returns nanoseconds a packet */
function timed(count: number, act: () => void): number {
  const rounds = Math.ceil(count / AT_ONCE);
  const begun = process.hrtime.bigint();
  for (let i = 0; i < rounds; i++) act();
  return Number(process.hrtime.bigint() - begun) / (rounds * AT_ONCE);
}

interface Messages {
  readonly headers: Uint8Array;
  /** The kernel reads them: they must live as long as the headers. */
  readonly others: readonly Uint8Array[];
}

/** `struct mmsghdr` for each destination; undefined: that of the socket. */
function messages(destinations: readonly (Uint8Array | undefined)[]): Messages {
  const payload = new Uint8Array(PAYLOAD);
  const vector = new Uint8Array(IOVEC);
  const view = new DataView(vector.buffer);
  view.setBigUint64(0, koffi.address(payload), true);
  view.setBigUint64(8, BigInt(PAYLOAD), true);
  const headers = new Uint8Array(MMSGHDR * destinations.length);
  const header = new DataView(headers.buffer);
  destinations.forEach((destination, i) => {
    if (destination !== undefined) {
      header.setBigUint64(i * MMSGHDR, koffi.address(destination), true);
      header.setUint32(i * MMSGHDR + 8, SOCKADDR, true);
    }
    header.setBigUint64(i * MMSGHDR + 16, koffi.address(vector), true);
    header.setBigUint64(i * MMSGHDR + 24, 1n, true);
  });
  return { headers, others: [payload, vector, ...destinations.flatMap(destination => destination ?? [])] };
}

function send(socket: number, { headers }: Messages, count: number): void {
  const sent = Number(sysSendmmsg(socket, headers, count, 0));
  if (sent !== count) throw new Error(`only ${sent} of ${count} packets could be sent`);
}

function udp(own: Uint8Array, far?: Uint8Array): number {
  const [AF_INET, SOCK_DGRAM] = [2, 2];
  const socket = Number(sysSocket(AF_INET, SOCK_DGRAM, 0));
  if (socket < 0 || Number(sysBind(socket, own, SOCKADDR)) < 0) throw new Error('no UDP socket');
  if (far !== undefined && Number(sysConnect(socket, far, SOCKADDR)) < 0) throw new Error('no way to the other end');
  return socket;
}

/** `struct sockaddr_in` */
function address(text: string, port: number): Uint8Array {
  return Uint8Array.of(2, 0, port >>> 8, port & 255, ...text.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0);
}

function plug(node: string, link: string, other: string): void {
  ip('-n', node, 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', other);
  run(node, `link set ${link} up`);
  run(other, 'link set eth0 up');
}

function rxPackets(namespace: string): number {
  return Number(/RX:[^\n]*\n\s*\d+\s+(\d+)/.exec(run(namespace, '-s link show eth0'))?.[1]);
}

function lladdrOf(namespace: string, link: string): string {
  return /link\/ether (\S+)/.exec(run(namespace, `link show ${link}`))?.[1] ?? '';
}

function run(namespace: string, args: string): string {
  return ip('-n', namespace, ...args.split(' '));
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}
