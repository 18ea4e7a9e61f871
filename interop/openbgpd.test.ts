/** Every scenario against OpenBGPD. */

import { everyScenario } from './everyScenario.js';
import { DAEMONS } from './kinds.js';

everyScenario(DAEMONS.openbgpd);
