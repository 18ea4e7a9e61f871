/** The makes of BGP speaker that every scenario runs against. */

import { bird } from './daemons/bird.js';
import type { DaemonKind } from './daemons/daemon.js';
import { frr } from './daemons/frr.js';
import { gobgp } from './daemons/gobgp.js';
import { openbgpd } from './daemons/openbgpd.js';

export const KINDS: readonly { readonly key: string; readonly kind: DaemonKind }[] = [
  { key: 'bird', kind: bird },
  { key: 'gobgp', kind: gobgp },
  { key: 'frr', kind: frr },
  { key: 'openbgpd', kind: openbgpd },
];
