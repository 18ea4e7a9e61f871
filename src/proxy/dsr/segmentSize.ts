/**
 * Lets clients of direct server return send segments that still fit with the outer header of the tunnel: the size that a pod
 * announces is lowered in its answers. Impure: nft(8).
 */

import type { Nft } from '../../kernel/nft.js';
import type { IpText } from '../../kube/objectTypes.js';
import { familyOf } from './dsrPlan.js';

export const SEGMENT_TABLE = { family: 'inet', name: 'peerage-dsr' } as const;
/** Octets of headers: outer, inner, TCP; with the tunnel's own limit for IPv6 (RFC 2473) as kube-router reckons. */
const HEADERS = { 4: 60, 6: 100 } as const;

/**
 * @param mtu of the pods' links
 * @returns a script that replaces the table whole; without addresses it takes it away
 */
export function segmentScript(vips: readonly IpText[], mtu: number): string {
  const { family, name } = SEGMENT_TABLE;
  const table = `${family} ${name}`;
  const gone = `add table ${table}\ndelete table ${table}\n`;
  if (vips.length === 0) return gone;
  const rules = ([4, 6] as const).flatMap(version => {
    const own = [...vips].filter(vip => familyOf(vip) === version).sort();
    if (own.length === 0) return [];
    const source = `${version === 4 ? 'ip' : 'ip6'} saddr { ${own.join(', ')} }`;
    return [`${source} tcp flags & (syn | rst) == syn tcp option maxseg size set ${mtu - HEADERS[version]}`];
  });
  // Answers to others are forwarded, those to this node itself come in.
  const chains = ['forward', 'input'].map(
    hook => `  chain ${hook} {\n    type filter hook ${hook} priority mangle\n    ${rules.join('\n    ')}\n  }\n`,
  );
  return `${gone}table ${table} {\n${chains.join('')}}\n`;
}

/** Writes the table when it has to change, or has gone. */
export async function keepSegments(nft: Nft, script: string, before: string | undefined): Promise<string> {
  const { family, name } = SEGMENT_TABLE;
  const isWanted = script.includes('chain');
  const isThere = (await nft.readTable(family, name)) !== undefined;
  if (isWanted !== isThere || (isThere && before !== script)) await nft.run(script);
  return script;
}
