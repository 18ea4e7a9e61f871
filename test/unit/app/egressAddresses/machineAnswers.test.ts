import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { machineAnswers } from '../../../../src/app/egressAddresses/machineAnswers.js';
import { ipv4 } from '../../../../src/core/ip.js';

const LOOPBACK = ipv4(0x7f00_0001);
/** Nobody can be connected to there: the kernel says so by itself. */
const BROADCAST = ipv4(0xffff_ffff);
const PATIENCE = 60_000;
/** Milliseconds for what is never answered. */
const MOMENT = 300;

test('who accepts is there, and who refuses, too; where no machine is, nobody answers', async () => {
  const server = createServer(socket => socket.end());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  expect(await machineAnswers(LOOPBACK, { ports: [port], patience: PATIENCE })).toBe(true);
  await new Promise(resolve => server.close(resolve));
  expect(await machineAnswers(LOOPBACK, { ports: [port], patience: PATIENCE })).toBe(true);
  const begun = performance.now();
  expect(await machineAnswers(BROADCAST, { ports: [port], patience: MOMENT })).toBe(false);
  // Others rely on it that nobody is called away at once, because the network has no way at this moment.
  expect(performance.now() - begun).toBeGreaterThanOrEqual(MOMENT - 1);
});
