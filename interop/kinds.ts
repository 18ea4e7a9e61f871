/** The makes of BGP speaker that every scenario runs against. */

import { bird } from './daemons/bird.js';
import type { DaemonKind } from './daemons/daemon.js';
import { frr } from './daemons/frr.js';
import { gobgp } from './daemons/gobgp.js';
import { openbgpd } from './daemons/openbgpd.js';

export interface Daemon {
  /** Its name for commands and files. */
  readonly key: string;
  readonly kind: DaemonKind;
}

export const DAEMONS = {
  bird: { key: 'bird', kind: bird },
  gobgp: { key: 'gobgp', kind: gobgp },
  frr: { key: 'frr', kind: frr },
  openbgpd: { key: 'openbgpd', kind: openbgpd },
} as const satisfies Readonly<Record<string, Daemon>>;

export const KINDS: readonly Daemon[] = Object.values(DAEMONS);
