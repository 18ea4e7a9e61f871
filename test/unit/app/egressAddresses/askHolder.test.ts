import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { askHolder, HOLDER_PATH } from '../../../../src/app/egressAddresses/askHolder.js';
import { ipv4 } from '../../../../src/core/ip.js';

const LOOPBACK = ipv4(0x7f00_0001);
const BROADCAST = ipv4(0xffff_ffff);

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

async function serve(text: string): Promise<number> {
  const started = createServer(({ url }, response) => response.writeHead(url === HOLDER_PATH ? 200 : 404).end(text));
  server = started;
  await new Promise<void>(resolve => started.listen(0, '127.0.0.1', resolve));
  return (started.address() as AddressInfo).port;
}

test.each([
  ['{"isCutOff":true}', 'deaf'],
  ['{"isCutOff":false}', 'there'],
  ['no JSON', 'there'],
  [`{"isCutOff":true,"more":"${'x'.repeat(100_000)}"}`, 'there'],
])('who says %s', async (text, word) => {
  const port = await serve(text);
  expect(await askHolder([LOOPBACK], port, [port])).toBe(word);
});

test('whose agent is away, or tells nobody, is there', async () => {
  const port = await serve('');
  expect(await askHolder([LOOPBACK], 0, [port])).toBe('there');
  expect(await askHolder([LOOPBACK], 1, [port])).toBe('there');
});

test('where no machine is, there is silence', async () => {
  expect(await askHolder([BROADCAST], 1, [1])).toBe('silent');
  expect(await askHolder([], 1)).toBe('silent');
});
