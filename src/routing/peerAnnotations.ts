/**
 * External peers in a node's annotations: `kube-router.io/peers`, a YAML list, or the older comma lists
 * `kube-router.io/peer.*`. Keys (TCP-MD5, RFC 2385) stand there in base64 and in no message.
 */

import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import type { Asn } from '../bgp/asn.js';
import { formatAddress, parseAddress, sameAddress, type IpAddress } from '../core/ip.js';
import { err, ok, type Result } from '../core/result.js';
import { listItems, parseAsn, parseNumber, type Annotations, type Reading } from './annotations.js';
import type { BfdOptions, ExternalPeer } from './routingOptions.js';

const PEERS = 'kube-router.io/peers';
const LISTS = {
  ips: 'kube-router.io/peer.ips',
  asns: 'kube-router.io/peer.asns',
  ports: 'kube-router.io/peer.ports',
  passwords: 'kube-router.io/peer.passwords',
  localIps: 'kube-router.io/peer.localips',
} as const;

/** Linux takes no longer key (TCP_MD5SIG_MAXKEYLEN). */
const LONGEST_KEY = 80;
const NONE: Reading<readonly ExternalPeer[]> = { readable: true, value: [], complaints: [] };

/** The annotation that the node's peers are read from. */
export function peersKey(annotations: Annotations): string {
  return annotations[PEERS] === undefined && annotations[LISTS.ips] !== undefined ? LISTS.ips : PEERS;
}

/** @returns every peer that can be read, each address once */
export function readPeers(annotations: Annotations): Reading<readonly ExternalPeer[]> {
  const yaml = annotations[PEERS];
  const reading = yaml === undefined ? readLists(annotations) : readYaml(yaml);
  if (!reading.readable) return reading;
  const isFirst = ({ address }: ExternalPeer, i: number): boolean =>
    reading.value.findIndex(other => sameAddress(other.address, address)) === i;
  const doubles = reading.value.filter((peer, i) => !isFirst(peer, i));
  const both =
    yaml !== undefined && annotations[LISTS.ips] !== undefined ? [`${LISTS.ips} is there too and means nothing`] : [];
  return {
    readable: true,
    value: reading.value.filter(isFirst),
    complaints: [
      ...reading.complaints,
      ...doubles.map(({ address }) => `peer ${formatAddress(address)} is there twice: the first counts`),
      ...both,
    ],
  };
}

/** Numbers may be quoted. */
const number = (least: number, most: number): z.ZodType<number> =>
  z.preprocess(
    value => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value),
    z.int().min(least).max(most),
  );

const address: z.ZodType<IpAddress> = z.string().transform((text, context) => {
  const parsed = parseAddress(text);
  if (parsed.ok) return parsed.value;
  context.issues.push({ code: 'custom', message: parsed.error, input: text });
  return z.NEVER;
});

/** The defaults of `--bfd-*`. */
const bfd: z.ZodType<BfdOptions | undefined> = z
  .strictObject({
    enabled: z.boolean().default(false),
    port: number(1, 65535).default(3784),
    detection_multiplier: number(1, 255).default(3),
    required_min_rx_interval: number(1, 0xffff_ffff).default(1000),
    desired_min_tx_interval: number(1, 0xffff_ffff).default(1000),
  })
  .transform(given =>
    given.enabled
      ? {
          port: given.port,
          detectionMultiplier: given.detection_multiplier,
          desiredMinTx: given.desired_min_tx_interval,
          requiredMinRx: given.required_min_rx_interval,
        }
      : undefined,
  );

const peer = z.strictObject({
  remoteip: address,
  remoteasn: number(1, 0xffff_ffff),
  localip: z.preprocess(value => (value === '' ? undefined : value), address.optional()),
  password: z.string().optional(),
  port: number(1, 65535).optional(),
  bfd: bfd.optional(),
});

function readYaml(text: string): Reading<readonly ExternalPeer[]> {
  const parsed = parseDocument(text);
  if (!parsed.ok) return { readable: false, complaints: [parsed.error] };
  const results = parsed.value.map(readItem);
  return {
    readable: true,
    value: results.flatMap(result => (result.ok ? [result.value] : [])),
    complaints: results.flatMap(result => (result.ok ? [] : [result.error])),
  };
}

function parseDocument(text: string): Result<readonly unknown[], string> {
  try {
    const document: unknown = parseYaml(text);
    return Array.isArray(document) ? ok(document) : err('is not a YAML list');
  } catch {
    // The library's message quotes the text, in which keys may stand.
    return err('is not YAML');
  }
}

function readItem(item: unknown, index: number): Result<ExternalPeer, string> {
  const parsed = peer.safeParse(item);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return err(`peer ${index + 1}: ${[...(issue?.path.map(String) ?? []), issue?.message ?? ''].join(': ')}`);
  }
  const { remoteip, remoteasn, localip, password, port, bfd: watched } = parsed.data;
  return complete(`peer ${index + 1}`, {
    address: ok(remoteip),
    asn: parseAsn(String(remoteasn)),
    local: ok(localip),
    password: keyOf(password),
    port: ok(port),
    bfd: watched,
  });
}

interface Parts {
  readonly address: Result<IpAddress, string>;
  readonly asn: Result<Asn, string>;
  readonly local: Result<IpAddress | undefined, string>;
  readonly password: Result<string | undefined, string>;
  readonly port: Result<number | undefined, string>;
  readonly bfd?: BfdOptions | undefined;
}

function complete(name: string, { address, asn, local, password, port, bfd }: Parts): Result<ExternalPeer, string> {
  for (const part of [address, asn, local, password, port]) if (!part.ok) return err(`${name}: ${part.error}`);
  if (!address.ok || !asn.ok || !local.ok || !password.ok || !port.ok) return err(name);
  if (local.value !== undefined && local.value.version !== address.value.version)
    return err(`${name}: the local address is of the other IP version`);
  return ok({
    address: address.value,
    asn: asn.value,
    ...(local.value === undefined ? {} : { local: local.value }),
    ...(password.value === undefined ? {} : { password: password.value }),
    ...(port.value === undefined ? {} : { port: port.value }),
    ...(bfd === undefined ? {} : { bfd }),
  });
}

function readLists(annotations: Annotations): Reading<readonly ExternalPeer[]> {
  const ips = listItems(annotations[LISTS.ips]);
  if (ips.length === 0) return NONE;
  const asns = listItems(annotations[LISTS.asns]);
  const optional = [LISTS.ports, LISTS.passwords, LISTS.localIps].map(key => ({
    key,
    items: listItems(annotations[key]),
  }));
  const uneven = [{ key: LISTS.asns, items: asns }, ...optional.filter(({ items }) => items.length > 0)].find(
    ({ items }) => items.length !== ips.length,
  );
  // Nobody can tell which value belongs to which peer.
  if (uneven !== undefined)
    return {
      readable: false,
      complaints: [`has ${ips.length} addresses, and ${uneven.key} has ${uneven.items.length} entries`],
    };
  const [ports = [], passwords = [], locals = []] = optional.map(({ items }) => items);
  const results = ips.map((ip, i) =>
    complete(`peer ${i + 1}`, {
      address: parseAddress(ip),
      asn: parseAsn(asns[i] ?? ''),
      port: given(ports[i], text => parsePort(text)),
      password: keyOf(passwords[i]),
      local: given(locals[i], parseAddress),
    }),
  );
  return {
    readable: true,
    value: results.flatMap(result => (result.ok ? [result.value] : [])),
    complaints: results.flatMap(result => (result.ok ? [] : [result.error])),
  };
}

function given<T>(text: string | undefined, parse: (text: string) => Result<T, string>): Result<T | undefined, string> {
  return text === undefined || text === '' ? ok(undefined) : parse(text);
}

function parsePort(text: string): Result<number, string> {
  const port = parseNumber(text, 65535);
  return port.ok && port.value === 0 ? err('port 0 is nobody') : port;
}

/** From base64 to the key itself; blank: none. */
function keyOf(base64: string | undefined): Result<string | undefined, string> {
  if (base64 === undefined || base64.trim() === '') return ok(undefined);
  const text = base64.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return err('the password is not base64');
  const key = Buffer.from(text, 'base64');
  return key.length <= LONGEST_KEY ? ok(key.toString()) : err(`the password is longer than ${LONGEST_KEY} octets`);
}
