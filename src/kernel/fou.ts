/** UDP ports on which the kernel takes GUE (Generic UDP Encapsulation) in: linux/fou.h over generic netlink. */

import { NETLINK_GENERIC, NLM_F_DUMP, NLM_F_REQUEST } from './netlink/numbers.js';
import { describeErrno, dumpAll, openChannel, type NetlinkChannel } from './netlink/channel.js';
import { AttributeCursor, type MessageCursor } from './netlink/reader.js';
import { familyIdOf, GENERIC_HEADER } from './netlink/generic.js';
import { loadModules } from './modules.js';
import { NetlinkWriter } from './netlink/writer.js';
import { AF_INET, AF_INET6 } from './rtnetlink.js';

export interface FouPort {
  readonly version: 4 | 6;
  readonly port: number;
}

/**
 * Ports carry no mark of who opened them, so those that nobody asked this process for are never listed or closed; one that
 * is open already counts as opened.
 */
export interface FouPorts {
  /** Ports that were asked for and are open. */
  read(): Promise<readonly FouPort[]>;
  /** @returns the reason of a failure */
  change(command: 'open' | 'close', version: 4 | 6, port: number): Promise<string | undefined>;
  close(): void;
}

const FOU_VERSION = 1;
const [FOU_CMD_ADD, FOU_CMD_DEL, FOU_CMD_GET] = [1, 2, 3];
const FOU_ATTR_PORT = 1;
const FOU_ATTR_AF = 2;
const FOU_ATTR_TYPE = 4;
const FOU_ENCAP_GUE = 2;

/** Works in the network namespace of the calling thread. @throws SyscallError */
export function openFouPorts(load: typeof loadModules = loadModules): FouPorts {
  return new Ports(openChannel(NETLINK_GENERIC), load);
}

class Ports implements FouPorts {
  private readonly asked = new Set<string>();
  private family: number | undefined;

  constructor(
    private readonly channel: NetlinkChannel,
    private readonly load: typeof loadModules,
  ) {}

  async read(): Promise<readonly FouPort[]> {
    if (this.asked.size === 0) return [];
    return (await this.openPorts()).filter(port => this.asked.has(keyOf(port)));
  }

  async change(command: 'open' | 'close', version: 4 | 6, port: number): Promise<string | undefined> {
    // Nothing in the kernel asks for these modules; tunnels over IPv6 in GUE need one more that nobody asks for.
    const problem = command === 'open' ? await this.load(...(version === 4 ? ['fou'] : ['fou', 'fou6'])) : undefined;
    const family = await this.familyId();
    if (family === undefined) return `the kernel has no FOU${problem === undefined ? '' : `: ${problem}`}`;
    const writer = new NetlinkWriter(64);
    writeFouPort(writer, family, command, { version, port });
    const { errnos, texts } = await this.channel.transact(writer);
    const key = keyOf({ version, port });
    if (command === 'close') this.asked.delete(key);
    else this.asked.add(key);
    const errno = errnos[0] ?? 0;
    if (errno === 0) return undefined;
    const isOpen = (await this.openPorts()).some(open => keyOf(open) === key);
    return isOpen === (command === 'open') ? undefined : describeErrno(errno, texts.get(0));
  }

  close(): void {
    this.channel.close();
  }

  private async openPorts(): Promise<readonly FouPort[]> {
    const family = await this.familyId();
    if (family === undefined) return [];
    const request = new NetlinkWriter(64);
    writeFouDump(request, family);
    return dumpAll(this.channel, request, decodeFouPort);
  }

  private async familyId(): Promise<number | undefined> {
    this.family ??= await familyIdOf(this.channel, 'fou');
    return this.family;
  }
}

/** @param family number of the family `fou` */
export function writeFouPort(
  writer: NetlinkWriter,
  family: number,
  command: 'open' | 'close',
  { version, port }: FouPort,
): void {
  writer.begin(family, NLM_F_REQUEST);
  writer.u8x4(command === 'open' ? FOU_CMD_ADD : FOU_CMD_DEL, FOU_VERSION, 0, 0);
  writer.attributeOctets(FOU_ATTR_PORT, Uint8Array.of(port >>> 8, port & 255));
  writer.attributeOctets(FOU_ATTR_AF, Uint8Array.of(version === 4 ? AF_INET : AF_INET6));
  if (command === 'open') writer.attributeOctets(FOU_ATTR_TYPE, Uint8Array.of(FOU_ENCAP_GUE));
  writer.end();
}

/** A request for all ports. */
export function writeFouDump(writer: NetlinkWriter, family: number): void {
  writer.begin(family, NLM_F_REQUEST | NLM_F_DUMP);
  writer.u8x4(FOU_CMD_GET, FOU_VERSION, 0, 0);
  writer.end();
}

/** @returns undefined for ports of another encapsulation, and messages cut short */
export function decodeFouPort({ view, start, end }: MessageCursor): FouPort | undefined {
  let [port, family, type] = [0, 0, 0];
  const attributes = new AttributeCursor().over(view, start + GENERIC_HEADER, end);
  while (attributes.next()) {
    if (attributes.type === FOU_ATTR_PORT) port = attributes.port();
    else if (attributes.type === FOU_ATTR_AF) family = attributes.u8();
    else if (attributes.type === FOU_ATTR_TYPE) type = attributes.u8();
  }
  if (attributes.malformed || port === 0 || type !== FOU_ENCAP_GUE) return undefined;
  return { version: family === AF_INET6 ? 6 : 4, port };
}

function keyOf({ version, port }: FouPort): string {
  return `${version} ${port}`;
}
