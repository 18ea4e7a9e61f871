/**
 * Which nodes tell what all nodes know: a few for each thing, chosen by hashes (rendezvous), so that nobody has to be
 * elected, the work is spread over the cluster, and a node that comes or goes moves hardly any of it. Pure.
 */

/** Nodes that tell a thing, one after another, should those before not run this program or be down. */
const REPORTERS = 3;

/**
 * @param nodes names of all; own may be missing
 * @returns 0 for who tells it first, 1 for who does when that one has not, ...; undefined: it is not on us
 */
export function reporterRank(nodes: Iterable<string>, own: string, subject: string): number | undefined {
  const seed = hashOf(subject, OFFSET);
  const mine = scoreOf(own, seed);
  let before = 0;
  for (const node of nodes) {
    if (node === own) continue;
    const score = scoreOf(node, seed);
    if (score > mine || (score === mine && node < own)) before += 1;
    if (before >= REPORTERS) return undefined;
  }
  return before;
}

/** FNV-1a, 32 bits. */
const OFFSET = 0x811c9dc5;
const PRIME = 0x01000193;

function hashOf(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), PRIME);
  return hash;
}

/** FNV's last characters hardly reach the upper bits: they are mixed in (as MurmurHash3 ends). */
function scoreOf(node: string, seed: number): number {
  let hash = hashOf(node, seed);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
