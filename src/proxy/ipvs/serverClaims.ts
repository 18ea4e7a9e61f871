/**
 * Which virtual servers on real addresses of this machine are ours, written down in the kernel: IPVS itself has no room for a
 * mark, and a virtual server of somebody else's may stand at the same address. A set in an nftables table of each family,
 * without any rule. Impure: netlink.
 */

import { ipv4, type IpAddress } from '../../core/ip.js';
import { describeErrno, NetlinkError, type NetlinkChannel } from '../../kernel/netlink/channel.js';
import type { ServerId } from '../../kernel/ipvs/messages.js';
import { readStructure, readElements } from '../../kernel/nftables/dump.js';
import * as message from '../../kernel/nftables/messages.js';
import { TransactionError, type Transactions } from '../../kernel/nftables/transaction.js';
import { addressOctets } from '../../kernel/nftables/elements.js';

export const CLAIMS_TABLE = 'peerage-ipvs-servers';
const SET = 'servers';

export interface ServerClaims {
  read(): Promise<readonly ServerId[]>;
  /** @returns why the kernel refused; undefined: all is done */
  write(command: 'add' | 'delete', servers: readonly ServerId[]): Promise<string | undefined>;
}

export function createServerClaims(channel: NetlinkChannel, transactions: Transactions): ServerClaims {
  return {
    read: async () => [...(await readFamily(channel, 'ip')), ...(await readFamily(channel, 'ip6'))],
    write: async (command, servers) => {
      if (servers.length === 0) return undefined;
      try {
        await transactions.run(writer => {
          for (const family of ['ip', 'ip6'] as const) {
            const elements = servers.filter(server => familyOf(server) === family).map(elementOf);
            if (elements.length === 0) continue;
            const table = { family, name: CLAIMS_TABLE };
            // Adding works whether it is there or not, and deleting needs it to be there.
            message.writeTable(writer, 'add', table);
            message.writeSet(writer, table, shape(family), 1);
            if (command === 'delete') message.writeElements(writer, 'add', table, SET, elements);
            message.writeElements(writer, command, table, SET, elements);
          }
        });
        return undefined;
      } catch (error) {
        if (!(error instanceof TransactionError)) throw error;
        return `table ${CLAIMS_TABLE}: ${error.message}`;
      }
    },
  };
}

async function readFamily(channel: NetlinkChannel, family: message.TableFamily): Promise<readonly ServerId[]> {
  const table = { family, name: CLAIMS_TABLE };
  try {
    const found = await readStructure(channel, table);
    if (found?.sets.some(({ name }) => name === SET) !== true) return [];
    const elements = await readElements(channel, table, SET);
    return elements.flatMap(({ key }) => serverOf(key, family) ?? []);
  } catch (error) {
    if (error instanceof NetlinkError)
      throw new Error(`table ${CLAIMS_TABLE}: ${describeErrno(error.errno, error.kernelText)}`, { cause: error });
    throw error;
  }
}

function shape(family: message.TableFamily): message.SetShape {
  return { name: SET, key: [family === 'ip' ? 'ipv4_addr' : 'ipv6_addr', 'inet_proto', 'inet_service'] };
}

function familyOf({ address }: ServerId): message.TableFamily {
  return address.version === 4 ? 'ip' : 'ip6';
}

function elementOf({ address, protocol, port }: ServerId): message.WireElement {
  const rest = String.fromCharCode(protocol, 0, 0, 0, port >>> 8, port & 255, 0, 0);
  return { key: `${addressOctets(address)}${rest}`, value: undefined };
}

function serverOf(key: string, family: message.TableFamily): ServerId | undefined {
  const size = family === 'ip' ? 4 : 16;
  if (key.length < size + 6) return undefined;
  const octet = (at: number): number => key.charCodeAt(at);
  const word = (at: number): number =>
    ((octet(at) << 24) | (octet(at + 1) << 16) | (octet(at + 2) << 8) | octet(at + 3)) >>> 0;
  const address: IpAddress =
    family === 'ip' ? ipv4(word(0)) : { version: 6, words: [word(0), word(4), word(8), word(12)] };
  return { address, protocol: octet(size), port: octet(size + 4) * 256 + octet(size + 5) };
}
