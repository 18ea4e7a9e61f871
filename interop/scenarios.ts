/** What every make of BGP speaker is tried with, one list for all of them. */

import type { Scenario } from './rig.js';
import { ENDS } from './scenarios/ends.js';
import { REFLECTION } from './scenarios/reflection.js';
import { REFRESH } from './scenarios/refresh.js';
import { RESTART } from './scenarios/restart.js';
import { ROUTES } from './scenarios/routes.js';
import { SECURITY } from './scenarios/security.js';
import { SESSIONS } from './scenarios/sessions.js';

export const SCENARIOS: readonly Scenario[] = [
  ...SESSIONS,
  ...ROUTES,
  ...SECURITY,
  ...ENDS,
  ...REFRESH,
  ...RESTART,
  ...REFLECTION,
];
