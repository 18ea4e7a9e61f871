/** Who may have a session at all: TCP-MD5 (RFC 2385) and GTSM (RFC 5082). */

import { expectEqual } from '../expect.js';
import { sessionsUp, type Rig, type Scenario } from '../rig.js';
import { exchange, staysDown } from './checks.js';

export const SECURITY: readonly Scenario[] = [
  {
    name: 'MD5, same password',
    us: { password: 'sesame-42' },
    them: { password: 'sesame-42' },
    run: (rig: Rig): Promise<void> => exchange(rig, 'v4'),
  },
  { name: 'MD5, other password', us: { password: 'one' }, them: { password: 'two' }, run: staysDown },
  { name: 'MD5, only with us', us: { password: 'one' }, run: staysDown },
  { name: 'MD5, only with them', needs: ['md5Listener'], them: { password: 'one' }, run: staysDown },
  {
    name: 'MD5, password with a space',
    needs: ['md5Space'],
    us: { password: 'open sesame' },
    them: { password: 'open sesame' },
    run: (rig: Rig): Promise<void> => exchange(rig, 'v4'),
  },
  {
    name: 'GTSM on both sides',
    us: { gtsm: true },
    them: { gtsm: true },
    run: (rig: Rig): Promise<void> => exchange(rig, 'v4'),
  },
  { name: 'GTSM with us, they are a hop too far', far: true, us: { gtsm: true }, run: staysDown },
  {
    name: 'no GTSM, the same hop away',
    far: true,
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig);
      expectEqual('their address', rig.theirAddress, rig.them.plan.addressFar);
    },
  },
];
