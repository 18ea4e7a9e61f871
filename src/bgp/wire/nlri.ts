/** Prefixes of an UPDATE as values, for people, tests and tools: RFC 4271 section 4.3, RFC 7911 section 3. */

import { formatAddress, type IpAddress, Ipv4, maskAddress } from '../../core/ip.js';
import { type FamilyIndex, IPV4_UNICAST } from '../families.js';
import type { Nlri } from '../messages.js';
import { OctetReader } from './octetReader.js';
import { OctetWriter } from './octetWriter.js';

/**
 * Reads a run of prefixes that has been checked, as octets[start .. end) of an UpdateRecord.
 * @throws ShortField when it is no such run
 */
export function decodeNlri(octets: Uint8Array, start: number, end: number, addPath: boolean): Nlri[] {
  return OctetReader.over(octets, start, end).all(reader => {
    const pathId = addPath ? { pathId: reader.u32() } : {};
    const length = reader.u8();
    return { ...pathId, length, octets: reader.octets((length + 7) >> 3) };
  });
}

/** Writes prefixes; each with its path identifier, if it has one. */
export function encodeNlri(prefixes: readonly Nlri[]): Uint8Array {
  const writer = new OctetWriter();
  for (const { pathId, length, octets } of prefixes) {
    if (pathId !== undefined) writer.u32(pathId);
    writer.u8(length).octets(octets);
  }
  return writer.done();
}

/** The address of a prefix, with bits beyond its length cleared. */
export function nlriAddress(nlri: Nlri, family: FamilyIndex): IpAddress {
  const padded = new Uint8Array(16);
  padded.set(nlri.octets.subarray(0, 16));
  const reader = OctetReader.over(padded);
  const address: IpAddress =
    family === IPV4_UNICAST
      ? { version: 4, value: Ipv4(reader.u32()) }
      : { version: 6, words: [reader.u32(), reader.u32(), reader.u32(), reader.u32()] };
  return maskAddress(address, nlri.length);
}

/** The prefix of an address, as the wire has it. */
export function nlriOf(address: IpAddress, length: number, pathId?: number): Nlri {
  const writer = new OctetWriter();
  for (const word of address.version === 4 ? [address.value] : address.words) writer.u32(word);
  const octets = writer.done().slice(0, (length + 7) >> 3);
  return pathId === undefined ? { length, octets } : { pathId, length, octets };
}

/** As in `10.0.0.0/8`, with ` (path 7)` behind it when there is a path identifier. */
export function formatNlri(nlri: Nlri, family: FamilyIndex): string {
  const prefix = `${formatAddress(nlriAddress(nlri, family))}/${nlri.length}`;
  return nlri.pathId === undefined ? prefix : `${prefix} (path ${nlri.pathId})`;
}
