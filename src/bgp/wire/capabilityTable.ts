/** Capabilities, one row each with both directions: RFC 5492 and the RFC named at the row. */

import type { AfiSafi, Capability, KnownCapability } from '../capabilities.js';
import { CapabilityCode } from './iana.js';
import { Malformation, type OctetReader } from './octetReader.js';
import { OctetWriter } from './octetWriter.js';

type CapabilityOf<K extends KnownCapability> = Extract<Capability, { readonly kind: K }>;

interface Row<K extends KnownCapability> {
  readonly code: number;
  /** Must read the whole value: octets left over make it malformed. */
  decode(value: OctetReader): CapabilityOf<K>;
  encode(capability: CapabilityOf<K>, writer: OctetWriter): unknown;
}

/** Restart Flags and Restart Time share two octets (RFC 4724 section 3, RFC 8538 section 2). */
const RESTARTING = 0x8000;
const SURVIVES_NOTIFICATION = 0x4000;
const RESTART_TIME = 0x0fff;
/** Flags for Address Family: Forwarding State (RFC 4724 section 3). */
const FORWARDING = 0x80;
/** Send/Receive of RFC 7911 section 4. */
const ADD_PATH_RECEIVE = 1;
const ADD_PATH_SEND = 2;

const afiSafi = (reader: OctetReader): AfiSafi => ({ afi: reader.u16(), safi: reader.u8() });

/** A kind without a row does not compile. */
const ROWS: { readonly [K in KnownCapability]: Row<K> } = {
  // RFC 4760 section 8: AFI, a reserved octet, SAFI.
  multiprotocol: {
    code: CapabilityCode.multiprotocol,
    decode: value => {
      const afi = value.u16();
      value.u8();
      return { kind: 'multiprotocol', afi, safi: value.u8() };
    },
    encode: (c, writer) => writer.u16(c.afi).u8(0).u8(c.safi),
  },
  // RFC 2918 section 2: no value. Code 128 is decoded apart, see decodeCapability.
  routeRefresh: {
    code: CapabilityCode.routeRefresh,
    decode: () => ({ kind: 'routeRefresh', prestandard: false }),
    encode: () => undefined,
  },
  // RFC 8950 section 4: AFI, SAFI in two octets, next hop AFI.
  extendedNextHop: {
    code: CapabilityCode.extendedNextHop,
    decode: value => ({
      kind: 'extendedNextHop',
      families: value.all(r => ({ afi: r.u16(), safi: r.u16(), nextHopAfi: r.u16() })),
    }),
    encode: (c, writer) => writer.each(c.families, (w, f) => w.u16(f.afi).u16(f.safi).u16(f.nextHopAfi)),
  },
  // RFC 8654 section 3: no value.
  extendedMessages: {
    code: CapabilityCode.extendedMessages,
    decode: () => ({ kind: 'extendedMessages' }),
    encode: () => undefined,
  },
  // RFC 4724 section 3.
  gracefulRestart: {
    code: CapabilityCode.gracefulRestart,
    decode: value => {
      const word = value.u16();
      return {
        kind: 'gracefulRestart',
        restarting: (word & RESTARTING) !== 0,
        notification: (word & SURVIVES_NOTIFICATION) !== 0,
        restartTime: word & RESTART_TIME,
        families: value.all(r => ({ ...afiSafi(r), forwarding: (r.u8() & FORWARDING) !== 0 })),
      };
    },
    encode: (c, writer) =>
      writer
        .u16((c.restarting ? RESTARTING : 0) | (c.notification ? SURVIVES_NOTIFICATION : 0) | c.restartTime)
        .each(c.families, (w, f) =>
          w
            .u16(f.afi)
            .u8(f.safi)
            .u8(f.forwarding ? FORWARDING : 0),
        ),
  },
  // RFC 6793 section 3.
  fourOctetAs: {
    code: CapabilityCode.fourOctetAs,
    decode: value => ({ kind: 'fourOctetAs', asn: value.u32() }),
    encode: (c, writer) => writer.u32(c.asn),
  },
  // RFC 7911 section 4: a family with another Send/Receive than 1, 2 or 3 is ignored.
  addPath: {
    code: CapabilityCode.addPath,
    decode: value => {
      const families = value.all(r => ({ ...afiSafi(r), mode: r.u8() }));
      return {
        kind: 'addPath',
        families: families
          .filter(f => f.mode >= ADD_PATH_RECEIVE && f.mode <= (ADD_PATH_RECEIVE | ADD_PATH_SEND))
          .map(({ afi, safi, mode }) => ({
            afi,
            safi,
            send: (mode & ADD_PATH_SEND) !== 0,
            receive: (mode & ADD_PATH_RECEIVE) !== 0,
          })),
      };
    },
    encode: (c, writer) =>
      writer.each(
        c.families.filter(f => f.send || f.receive),
        (w, f) =>
          w
            .u16(f.afi)
            .u8(f.safi)
            .u8((f.send ? ADD_PATH_SEND : 0) | (f.receive ? ADD_PATH_RECEIVE : 0)),
      ),
  },
  // RFC 7313 section 3.1: no value.
  enhancedRouteRefresh: {
    code: CapabilityCode.enhancedRouteRefresh,
    decode: () => ({ kind: 'enhancedRouteRefresh' }),
    encode: () => undefined,
  },
  // draft-walton-bgp-hostname-capability: two texts, each after its length.
  fqdn: {
    code: CapabilityCode.fqdn,
    decode: value => ({ kind: 'fqdn', hostname: value.text(value.u8()), domain: value.text(value.u8()) }),
    encode: (c, writer) => {
      for (const text of [c.hostname, c.domain]) {
        const octets = utf8Within(text, 64);
        writer.u8(octets.length).octets(octets);
      }
    },
  },
};

type Decode = (value: OctetReader) => Capability;

const DECODERS: ReadonlyMap<number, Decode> = new Map<number, Decode>([
  ...Object.values(ROWS).map((row): [number, Decode] => [row.code, value => row.decode(value)]),
  [CapabilityCode.prestandardRouteRefresh, () => ({ kind: 'routeRefresh', prestandard: true })],
]);

/**
 * Decodes one value.
 * @throws ShortField or Malformation when the value of a capability we know does not have the shape its RFC gives it
 */
export function decodeCapability(code: number, value: OctetReader): Capability {
  const decode = DECODERS.get(code);
  if (decode === undefined) return { kind: 'unknown', code, value: value.rest() };
  const capability = decode(value);
  if (value.remaining > 0) throw new Malformation(`${value.remaining} octets too many`);
  return capability;
}

/** Appends code, length and value. @throws RangeError when the value is longer than 255 octets */
export function encodeCapability(capability: Capability, writer: OctetWriter): void {
  const value = new OctetWriter();
  if (capability.kind === 'unknown') value.octets(capability.value);
  else encodeKnown(capability.kind, capability, value);
  const octets = value.done();
  writer.u8(capabilityCode(capability)).u8(octets.length).octets(octets);
}

function encodeKnown<K extends KnownCapability>(kind: K, capability: CapabilityOf<K>, writer: OctetWriter): void {
  ROWS[kind].encode(capability, writer);
}

/** IANA's number of a capability. */
export function capabilityCode(capability: Capability): number {
  if (capability.kind === 'unknown') return capability.code;
  if (capability.kind === 'routeRefresh' && capability.prestandard) return CapabilityCode.prestandardRouteRefresh;
  return ROWS[capability.kind].code;
}

/** The longest whole-character beginning of a text that fits into so many octets. */
function utf8Within(text: string, limit: number): Uint8Array {
  const octets = new Uint8Array(limit);
  return octets.subarray(0, new TextEncoder().encodeInto(text, octets).written);
}
