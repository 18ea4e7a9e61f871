/** Parts of the kernel that it does not load of itself when they are asked for, such as `fou`. Impure. */

import { ProgramError, runProgram } from './runProgram.js';

/**
 * Loads modules with modprobe(8); one that is loaded, or built in, is fine. In a container that takes the host's
 * /lib/modules.
 * @returns the reason of the first failure
 */
export async function loadModules(...names: readonly string[]): Promise<string | undefined> {
  try {
    await runProgram(['modprobe'], ['-a', ...names]);
    return undefined;
  } catch (error) {
    if (error instanceof ProgramError) return error.message;
    throw error;
  }
}
