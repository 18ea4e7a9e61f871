/** Route reflection (RFC 4456), by us and by them. */

import { expectEqual } from '../expect.js';
import { has, hasNot, sessionsUp, THIRD_ADDRESS, type Rig, type Scenario } from '../rig.js';
import { THEIRS } from './checks.js';

export const REFLECTION: readonly Scenario[] = [
  {
    name: 'route reflection by us',
    us: { reflector: true },
    them: { asn: 65001 },
    third: { made: 'same', of: 'us', asn: 65001 },
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig, [rig.us, THIRD_ADDRESS]);
      await rig.them.originate([{ prefix: THEIRS.v4 }]);
      const seen = await has(rig.third(), THEIRS.v4);
      expectEqual('ORIGINATOR_ID', seen.originatorId, rig.them.plan.address);
      expectEqual('CLUSTER_LIST', seen.clusterList, [rig.us.plan.address]);
      await rig.them.originate([]);
      await hasNot(rig.third(), THEIRS.v4);
    },
  },
  {
    name: 'route reflection by them',
    us: { asn: 65002 },
    them: { reflector: true },
    third: { made: 'peerage', of: 'them', asn: 65002 },
    run: async (rig: Rig): Promise<void> => {
      await sessionsUp(rig, [rig.them, THIRD_ADDRESS]);
      await rig.third().originate([{ prefix: '10.3.0.0/24' }]);
      const seen = await has(rig.us, '10.3.0.0/24');
      expectEqual('ORIGINATOR_ID', seen.originatorId, THIRD_ADDRESS);
      expectEqual('CLUSTER_LIST', seen.clusterList, [rig.them.plan.address]);
    },
  },
];
