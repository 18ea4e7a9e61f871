/** As the first process of a container, where no signal has an effect that nobody listens to. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { waitFor } from '../../lab/topology/commands.js';

const PATIENCE = 120_000;

test('a signal ends it before it has any order to end in', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'peerage-first-'));
  const control = join(folder, 'control.sock');
  // Takes questions and answers none.
  const server = createServer().listen(control);
  const command = [process.execPath, 'dist/cli/main.js', 'show', 'peers', '--control', control];
  const space = spawn('unshare', ['--pid', '--fork', '--kill-child', ...command], { stdio: 'inherit' });
  try {
    await once(server, 'connection', { signal: AbortSignal.timeout(PATIENCE) });
    const first = await waitFor('the first process', PATIENCE, () => {
      const children = readFileSync(`/proc/${space.pid}/task/${space.pid}/children`, 'utf8').trim();
      return children === '' ? undefined : Number(children);
    });
    process.kill(first, 'SIGTERM');
    const [code] = (await once(space, 'close', { signal: AbortSignal.timeout(PATIENCE) })) as [number | null];
    expect(code).toBe(143);
  } finally {
    space.kill('SIGKILL');
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);
