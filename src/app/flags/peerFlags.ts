/** `--peer-router-*`: lists of equal length that are the external peers of every node. Pure. */

import { parseAddress, sameAddress } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import { ConfigError } from '../config/configError.js';
import type { GivenFlags } from './flag.js';
import { isBase64 } from './checks.js';
import { isSettings, type Settings } from './settings.js';

/** TCP_MD5SIG_MAXKEYLEN of linux/tcp.h. */
const MAX_KEY = 80;

/** What stands in a file, or why it cannot be read. */
export type ReadText = (file: string) => Result<string, string>;

/** @returns the peers as `kubernetes.externalPeers` has them, without what was not said; none without the flags */
export function peersOfFlags(given: GivenFlags, readText: ReadText): Result<readonly Settings[], ConfigError[]> {
  const addresses = list(given, 'peer-router-ips');
  const asns = list(given, 'peer-router-asns');
  const ports = list(given, 'peer-router-ports');
  const keys = keysOf(given, readText);
  const complaints = [
    ...(asns.length === addresses.length ? [] : [uneven('peer-router-asns', asns.length, addresses.length, '')]),
    ...(fits(ports, addresses) ? [] : [uneven('peer-router-ports', ports.length, addresses.length, 'none, or ')]),
    ...(keys.ok ? [] : [keys.error]),
    ...(!keys.ok || fits(keys.value.keys, addresses)
      ? []
      : [uneven(keys.value.flag, keys.value.keys.length, addresses.length, 'none, or ')]),
  ];
  if (complaints.length > 0 || !keys.ok) return err(complaints);
  const peers = addresses.map((address, i): Settings => {
    const port = ports[i];
    const key = keys.value.keys[i] ?? '';
    return {
      address,
      asn: asns[i],
      ...(port === undefined ? {} : { port }),
      ...(key === '' ? {} : { password: { value: key } }),
    };
  });
  return ok(peers);
}

/** Peers of flags and file together: where both name an address, what the flags say of it goes before. */
export function withPeers(ofFile: unknown, ofFlags: readonly Settings[]): unknown {
  // What is no list is told by the check that follows.
  if (ofFile !== undefined && !Array.isArray(ofFile)) return ofFile;
  const known: readonly unknown[] = ofFile ?? [];
  const named = known.map(peer => ({ ...(isSettings(peer) ? peer : {}), ...ofFlags.find(own => isSame(own, peer)) }));
  const merged = known.map((peer, i) => (isSettings(peer) ? named[i] : peer));
  return [...merged, ...ofFlags.filter(own => !known.some(peer => isSame(own, peer)))];
}

function isSame(a: Settings, b: unknown): boolean {
  const [one, other] = [a['address'], isSettings(b) ? b['address'] : undefined];
  if (typeof one !== 'string' || typeof other !== 'string') return false;
  const [left, right] = [parseAddress(one), parseAddress(other)];
  return left.ok && right.ok && sameAddress(left.value, right.value);
}

interface Keys {
  readonly flag: string;
  readonly keys: readonly string[];
}

/** The flag goes before the file. @returns keys as they are, in the order of the peers; an empty one is none */
function keysOf(given: GivenFlags, readText: ReadText): Result<Keys, ConfigError> {
  const fromFlag = list(given, 'peer-router-passwords');
  const file = given.get('peer-router-passwords-file')?.value;
  if (fromFlag.length > 0 || typeof file !== 'string' || file === '')
    return decoded('peer-router-passwords', fromFlag.map(String));
  const text = readText(file);
  if (!text.ok) return err(new ConfigError('--peer-router-passwords-file', text.error));
  const line = text.value.trim();
  return decoded('peer-router-passwords-file', line === '' ? [] : line.split(',').map(part => part.trim()));
}

function decoded(flag: string, parts: readonly string[]): Result<Keys, ConfigError> {
  const bad = parts.findIndex(part => !isBase64(part));
  if (bad >= 0) return err(new ConfigError(`--${flag}`, `entry ${bad + 1} is not base64`));
  const octets = parts.map(part => Buffer.from(part, 'base64'));
  const long = octets.findIndex(key => key.length > MAX_KEY);
  if (long >= 0) return err(new ConfigError(`--${flag}`, `entry ${long + 1} is longer than ${MAX_KEY} octets`));
  return ok({ flag, keys: octets.map(key => key.toString('utf8')) });
}

function fits(values: readonly unknown[], addresses: readonly unknown[]): boolean {
  return values.length === 0 || values.length === addresses.length;
}

function uneven(flag: string, values: number, addresses: number, orElse: string): ConfigError {
  const has = `has ${values} ${values === 1 ? 'entry' : 'entries'}`;
  return new ConfigError(`--${flag}`, `${has} for ${addresses} in --peer-router-ips: give ${orElse}one for each`);
}

function list(given: GivenFlags, name: string): readonly (string | number)[] {
  const value = given.get(name)?.value;
  return typeof value === 'object' ? value : [];
}
