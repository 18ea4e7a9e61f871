/** The suites that run in the guest, in this order. A new one is an entry here and a file in suites/ of its name; see guest.ts. */

import type { VmSuite } from './suite.js';
import { bandwidth } from './suites/bandwidth.js';
import { cleanup } from './suites/cleanup.js';
import { devices } from './suites/devices.js';
import { dsr } from './suites/dsr.js';
import { flowOffload } from './suites/flowOffload.js';
import { ipvs } from './suites/ipvs.js';
import { ipvsHistory } from './suites/ipvsHistory.js';
import { ipvsProxy } from './suites/ipvsProxy.js';
import { ipvsScale } from './suites/ipvsScale.js';
import { modeChange } from './suites/modeChange.js';
import { offloadAgent } from './suites/offloadAgent.js';
import { offloadSpeed } from './suites/offloadSpeed.js';
import { overlay } from './suites/overlay.js';
import { policyIpvs } from './suites/policyIpvs.js';
import { proxyRows } from './suites/proxyRows.js';
import { rolling } from './suites/rolling.js';
import { rollingAgent } from './suites/rollingAgent.js';

export const SUITES: readonly VmSuite[] = [
  devices,
  bandwidth,
  ipvs,
  ipvsHistory,
  ipvsProxy,
  proxyRows,
  policyIpvs,
  flowOffload,
  rolling,
  dsr,
  modeChange,
  overlay,
  cleanup,
];

/** Run only when PEERAGE_VM_SUITES names them: they take long, or measure more than they prove. */
export const ON_REQUEST: readonly VmSuite[] = [ipvsScale, offloadAgent, offloadSpeed, rollingAgent];
