/**
 * What happens to packets of direct server return on their way: those to a service's address are marked, so that they come
 * before IPVS; in answers of pods the size of segments that they announce is lowered, so that what clients send still fits
 * with the outer header of the tunnel. Impure: nft(8).
 */

import type { Nft } from '../../kernel/nft.js';
import type { IpText } from '../../kube/objectTypes.js';
import { familyOf } from './dsrPlan.js';
import { DSR_MARK } from './dsrRoutes.js';

/** Of each family. */
export const PACKET_TABLE = 'peerage-dsr';
/** Octets of headers: outer, inner, TCP; with the tunnel's own limit for IPv6 (RFC 2473) as kube-router reckons. */
const HEADERS = { 4: 60, 6: 100 } as const;
const FAMILIES = { 4: 'ip', 6: 'ip6' } as const;

/**
 * @param mtu of the pods' links; undefined: no pod of this node answers
 * @returns a script that replaces the tables whole; without addresses of a family it takes that one's away
 */
export function packetScript(vips: readonly IpText[], mtu: number | undefined): string {
  return ([4, 6] as const)
    .map(version => {
      const own = vips.filter(vip => familyOf(vip) === version).sort();
      return tableScript(FAMILIES[version], own, mtu === undefined ? undefined : mtu - HEADERS[version]);
    })
    .join('');
}

function tableScript(family: 'ip' | 'ip6', vips: readonly IpText[], size: number | undefined): string {
  const table = `${family} ${PACKET_TABLE}`;
  const gone = `add table ${table}\ndelete table ${table}\n`;
  if (vips.length === 0) return gone;
  const chain = (hook: string, rule: string): string =>
    `  chain ${hook} {\n    type filter hook ${hook} priority mangle\n    ${family} ${rule}\n  }\n`;
  const all = `{ ${vips.join(', ')} }`;
  const marking = chain('prerouting', `daddr ${all} meta mark set meta mark | ${DSR_MARK}`);
  const clamp = `saddr ${all} tcp flags & (syn | rst) == syn tcp option maxseg size set ${size ?? 0}`;
  // Answers to others are forwarded, those to this node itself come in.
  const clamping = size === undefined ? '' : chain('forward', clamp) + chain('input', clamp);
  return `${gone}table ${table} {\n${marking}${clamping}}\n`;
}

/** Writes the tables when they have to change, or when one has gone. */
export async function keepPacketRules(nft: Nft, script: string, before: string | undefined): Promise<string> {
  let isRight = script === before;
  for (const family of Object.values(FAMILIES)) {
    const isThere = (await nft.readTable(family, PACKET_TABLE)) !== undefined;
    isRight &&= isThere === script.includes(`table ${family} ${PACKET_TABLE} {`);
  }
  if (!isRight) await nft.run(script);
  return script;
}
