/**
 * Lets clients of direct server return send segments that still fit with the outer header of the tunnel: the size that a pod
 * announces is lowered in its answers. Impure: nft(8).
 */

import type { Nft } from '../../kernel/nft.js';
import type { IpText } from '../../kube/objectTypes.js';
import { familyOf } from './dsrPlan.js';

/** Of each family. */
export const SEGMENT_TABLE = 'peerage-dsr';
/** Octets of headers: outer, inner, TCP; with the tunnel's own limit for IPv6 (RFC 2473) as kube-router reckons. */
const HEADERS = { 4: 60, 6: 100 } as const;
const FAMILIES = { 4: 'ip', 6: 'ip6' } as const;

/**
 * @param mtu of the pods' links
 * @returns a script that replaces the tables whole; without addresses of a family it takes that one's away
 */
export function segmentScript(vips: readonly IpText[], mtu: number): string {
  return ([4, 6] as const)
    .map(version => {
      const own = vips.filter(vip => familyOf(vip) === version).sort();
      return tableScript(FAMILIES[version], own, mtu - HEADERS[version]);
    })
    .join('');
}

function tableScript(family: 'ip' | 'ip6', vips: readonly IpText[], size: number): string {
  const table = `${family} ${SEGMENT_TABLE}`;
  const gone = `add table ${table}\ndelete table ${table}\n`;
  if (vips.length === 0) return gone;
  const rule = `${family} saddr { ${vips.join(', ')} } tcp flags & (syn | rst) == syn tcp option maxseg size set ${size}`;
  // Answers to others are forwarded, those to this node itself come in.
  const chains = ['forward', 'input'].map(
    hook => `  chain ${hook} {\n    type filter hook ${hook} priority mangle\n    ${rule}\n  }\n`,
  );
  return `${gone}table ${table} {\n${chains.join('')}}\n`;
}

/** Writes the tables when they have to change, or when one has gone. */
export async function keepSegments(nft: Nft, script: string, before: string | undefined): Promise<string> {
  let isRight = script === before;
  for (const family of Object.values(FAMILIES)) {
    const isThere = (await nft.readTable(family, SEGMENT_TABLE)) !== undefined;
    isRight &&= isThere === script.includes(`table ${family} ${SEGMENT_TABLE} {`);
  }
  if (!isRight) await nft.run(script);
  return script;
}
