/** Every scenario against GoBGP. */

import { everyScenario } from './everyScenario.js';
import { DAEMONS } from './kinds.js';

everyScenario(DAEMONS.gobgp);
