/** Every scenario against BIRD. */

import { everyScenario } from './everyScenario.js';
import { DAEMONS } from './kinds.js';

everyScenario(DAEMONS.bird);
