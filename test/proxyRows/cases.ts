/**
 * The behaviour of the service proxy with real packets, a case for each: plain functions, so that they run under jest on the
 * machine's own kernel and in a guest with another, on either backend. See semantics.ts for what each proves.
 */

import { clusterIps } from './cases/clusterIps.js';
import { detectors } from './cases/detectors.js';
import { guards } from './cases/guards.js';
import { outside } from './cases/outside.js';
import { time } from './cases/time.js';
import type { RowCase } from './world.js';

export const CASES: readonly RowCase[] = [...clusterIps, ...outside, ...guards, ...time, ...detectors];
