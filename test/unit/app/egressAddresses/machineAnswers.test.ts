import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { machineAnswers } from '../../../../src/app/egressAddresses/machineAnswers.js';
import { ipv4 } from '../../../../src/core/ip.js';

const LOOPBACK = ipv4(0x7f00_0001);
/** Nobody can be connected to there: the kernel says so by itself. */
const BROADCAST = ipv4(0xffff_ffff);
const PATIENCE = 60_000;

test('who accepts is there, and who refuses, too; where no machine is, nobody answers', async () => {
  const server = createServer(socket => socket.end());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  expect(await machineAnswers(LOOPBACK, [port], PATIENCE)).toBe(true);
  await new Promise(resolve => server.close(resolve));
  expect(await machineAnswers(LOOPBACK, [port], PATIENCE)).toBe(true);
  expect(await machineAnswers(BROADCAST, [port], PATIENCE)).toBe(false);
});
