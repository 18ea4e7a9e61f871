/** Every scenario against FRR. */

import { everyScenario } from './everyScenario.js';
import { DAEMONS } from './kinds.js';

everyScenario(DAEMONS.frr);
