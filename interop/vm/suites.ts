/** The suites that run in the guest, in this order. A new one is a file in suites/ and an entry here; see guest.ts. */

import type { VmSuite } from './suite.js';
import { cleanup } from './suites/cleanup.js';
import { devices } from './suites/devices.js';
import { overlay } from './suites/overlay.js';

export const SUITES: readonly VmSuite[] = [devices, overlay, cleanup];
