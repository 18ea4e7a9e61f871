/**
 * Endpoints and clients of SCTP by hand, for kernels without SCTP sockets: the first two packets of an association, which is all
 * that a proxy translates by itself. An endpoint says in its state cookie who it is and whom it sees. Impure.
 */

import { randomInt } from 'node:crypto';
import { formatAddress, ipv4, parseAddress, type IpAddress } from '../../../src/core/ip.js';
import { bindTo } from '../../../src/kernel/socketOptions.js';
import { decodeGreeting, encodeGreeting, type Greeting } from '../../policy/packets/sctp.js';
import { openSocket, receiveAll, sendTo, sockaddrOf, type Datagram } from '../../policy/packets/sockets.js';

/** Milliseconds between two looks at what has come. */
const [SERVER_LOOK, CLIENT_LOOK] = [50, 10];
const SOURCE_PORTS = { first: 10_000, count: 20_000 };
const [SCTP, IPV6_HEADER, ICMP_HEADER] = [132, 40, 8];
/** Destination unreachable, and of its codes the one for ports (RFC 792, RFC 4443). */
const UNREACHABLE = { 4: { type: 3, port: 3 }, 6: { type: 1, port: 4 } } as const;

/** Answers at these ports of an address, for as long as the process lives. */
export function serveSctp(text: string, ports: readonly number[]): void {
  const address = addressOf(text);
  const fd = openSocket(address.version, 'sctp');
  bindTo(fd, address, 0);
  setInterval(() => {
    for (const datagram of receiveAll(fd)) {
      const greeting = decodeGreeting(payloadOf(address.version, datagram.octets));
      if (greeting?.kind === 'init' && ports.includes(greeting.destinationPort))
        greetBack(fd, text, greeting, datagram);
    }
  }, SERVER_LOOK);
}

function greetBack(fd: number, text: string, init: Greeting, { sender }: Datagram): void {
  const answer = encodeGreeting({
    kind: 'initAck',
    sourcePort: init.destinationPort,
    destinationPort: init.sourcePort,
    verificationTag: init.initiateTag,
    initiateTag: init.initiateTag,
    cookie: `${text} ${init.destinationPort} ${senderOf(sender)}`,
  });
  sendTo(fd, answer, sender);
}

export interface SctpClient {
  /** @param patience milliseconds @returns what the endpoint says, `refused`, `silence`, or `error` with what ICMP says */
  ask(
    target: { readonly address: string; readonly port: number; readonly from?: string },
    patience: number,
  ): Promise<string>;
}

export function openSctpClient(): SctpClient {
  /** By initiate tag, which both kinds of answer have in them. */
  const waiting = new Map<number, (answer: string) => void>();
  const senders = new Map<string, number>();
  const complaints = new Map<4 | 6, number>();
  let asked = randomInt(SOURCE_PORTS.count);
  const look = (): void => {
    for (const [key, fd] of senders)
      for (const { octets } of receiveAll(fd)) {
        const greeting = decodeGreeting(payloadOf(key.startsWith('4') ? 4 : 6, octets));
        if (greeting?.kind === 'initAck') waiting.get(greeting.verificationTag)?.(greeting.cookie ?? 'error no cookie');
      }
    for (const [version, fd] of complaints)
      for (const { octets } of receiveAll(fd)) {
        const told = complaintOf(version, octets);
        if (told !== undefined) waiting.get(told.tag)?.(told.answer);
      }
  };
  const senderFor = (version: 4 | 6, from: string | undefined): number => {
    const key = `${version} ${from ?? ''}`;
    const known = senders.get(key);
    if (known !== undefined) return known;
    const fd = openSocket(version, 'sctp');
    if (from !== undefined) bindTo(fd, addressOf(from), 0);
    senders.set(key, fd);
    if (!complaints.has(version)) complaints.set(version, openSocket(version, 'icmp'));
    return fd;
  };
  setInterval(look, CLIENT_LOOK).unref();
  return {
    ask: ({ address: text, port, from }, patience) =>
      new Promise(resolve => {
        const address = addressOf(text);
        const tag = randomInt(1, 2 ** 32);
        const finish = (answer: string): void => {
          clearTimeout(timer);
          waiting.delete(tag);
          resolve(answer);
        };
        const timer = setTimeout(() => finish('silence'), patience);
        waiting.set(tag, finish);
        const sourcePort = SOURCE_PORTS.first + (asked++ % SOURCE_PORTS.count);
        const init = { kind: 'init', sourcePort, destinationPort: port, verificationTag: 0, initiateTag: tag } as const;
        sendTo(senderFor(address.version, from), encodeGreeting(init), sockaddrOf(address, 0));
      }),
  };
}

/** Of an init that somebody could not deliver. */
function complaintOf(version: 4 | 6, octets: Buffer): { readonly tag: number; readonly answer: string } | undefined {
  const message = payloadOf(version, octets);
  const { type, port } = UNREACHABLE[version];
  if (message.length < ICMP_HEADER || message.readUInt8(0) !== type) return undefined;
  const code = message.readUInt8(1);
  const packet = message.subarray(ICMP_HEADER);
  if (packet.length < IPV6_HEADER || packet.readUInt8(version === 4 ? 9 : 6) !== SCTP) return undefined;
  const init = version === 4 ? payloadOf(4, packet) : packet.subarray(IPV6_HEADER);
  // The initiate tag comes after the common header and that of the chunk.
  if (init.length < 20) return undefined;
  return { tag: init.readUInt32BE(16), answer: code === port ? 'refused' : `error unreachable ${code}` };
}

/** Raw sockets of IPv4 see the header. */
function payloadOf(version: 4 | 6, octets: Buffer): Buffer {
  return version === 4 ? octets.subarray(((octets[0] ?? 0) & 0xf) * 4) : octets;
}

/** As `struct sockaddr_in` and `sockaddr_in6` have it. */
function senderOf(sockaddr: Uint8Array): string {
  const view = new DataView(sockaddr.buffer, sockaddr.byteOffset, sockaddr.byteLength);
  if (sockaddr.length <= 16) return formatAddress(ipv4(view.getUint32(4)));
  const word = (i: number): number => view.getUint32(8 + 4 * i);
  return formatAddress({ version: 6, words: [word(0), word(1), word(2), word(3)] });
}

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}
