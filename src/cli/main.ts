#!/usr/bin/env node
/** Entry of the `peerage` command. */

import '../app/earlyEnd.js';

// Loaded late, since signals shall have their effect while the program is being loaded.
const { runCommand } = await import('./command.js');
await runCommand();
