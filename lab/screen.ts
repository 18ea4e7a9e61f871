/** The lab on a terminal: the drawing of the rack, sessions and routes as they come, redrawn in place. */

import type { PeerSummary } from '../src/api/view.js';
import type { Check } from './checks.js';
import type { LabNode } from './cluster.js';

export interface Picture {
  readonly torKind: string;
  readonly torSessions: number;
  readonly nodes: readonly {
    readonly node: LabNode;
    readonly peers: readonly PeerSummary[];
    readonly routes: number;
  }[];
  readonly checks: readonly Check[];
  /** What is going on now, or what can be tried. */
  readonly now: readonly string[];
}

const WIDTH = 26;

/** The whole picture as lines of text without colours. */
export function drawPicture({ torKind, torSessions, nodes, checks, now }: Picture): string[] {
  const columns = nodes.map(({ node, peers, routes }) => nodeBox(node, peers, routes));
  const height = Math.max(...columns.map(column => column.length));
  const total = columns.length * (WIDTH + 2);
  const middle = Math.floor(total / 2);
  const bus = '─'.repeat(total - WIDTH);
  const lines = [
    centred(`ToR  10.0.0.1  AS 64999  (${torKind}, ${torSessions} session${torSessions === 1 ? '' : 's'} up)`, total),
    `${' '.repeat(middle)}│`,
    `${' '.repeat(WIDTH / 2)}${bus.slice(0, middle - WIDTH / 2)}┴${bus.slice(middle - WIDTH / 2 + 1)}`,
  ];
  for (let i = 0; i < height; i++) lines.push(columns.map(column => (column[i] ?? '').padEnd(WIDTH + 2)).join(''));
  lines.push('', ...checks.map(checkLine), ...now);
  return lines;
}

function nodeBox(node: LabNode, peers: readonly PeerSummary[], routes: number): string[] {
  const lines = [
    `${node.name}  ${node.addresses[0] ?? ''}`,
    ...node.podCidrs.map(cidr => `pods ${cidr}`),
    ...node.pods.map(pod => `· ${pod.name}`),
    ...peers.map(
      peer =>
        `${peer.state === 'Established' ? '●' : '○'} ${peer.name.padEnd(13)}${peer.state === 'Established' ? 'up' : peer.state}`,
    ),
    `${routes} routes in the kernel`,
  ];
  const inner = WIDTH - 2;
  return [
    `┌${'─'.repeat(inner)}┐`,
    ...lines.map(line => `│${line.slice(0, inner).padEnd(inner)}│`),
    `└${'─'.repeat(inner)}┘`,
  ];
}

function checkLine({ what, ok, measured }: Check): string {
  return `${ok ? '✓' : '✗'}  ${what}: ${measured}`;
}

function centred(text: string, width: number): string {
  return ' '.repeat(Math.max(0, Math.floor((width - text.length) / 2))) + text;
}

/** Draws pictures over each other on a terminal; prints nothing elsewhere. Impure. */
export class Screen {
  private readonly live = process.stdout.isTTY;

  show(picture: Picture): void {
    if (!this.live) return;
    const lines = drawPicture(picture).map(line => `${line}\u001b[K`);
    process.stdout.write(`\u001b[H${lines.join('\n')}\n\u001b[J`);
  }

  begin(): void {
    if (this.live) process.stdout.write('\u001b[2J');
  }

  get interactive(): boolean {
    return this.live;
  }
}
