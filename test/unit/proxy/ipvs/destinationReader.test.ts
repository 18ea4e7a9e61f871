/** Whether destinations come from the kernel's one list or are asked for one by one. */

import { expect, test } from '@jest/globals';
import { readDestinations } from '../../../../src/proxy/ipvs/destinationReader.js';
import { serverKey } from '../../../../src/proxy/ipvs/virtualServers.js';
import type { FakeIpvsKernel } from './fakeIpvsKernel.js';
import { serving } from './ipvsWorld.js';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

async function kernelOfEight(): Promise<FakeIpvsKernel> {
  const { kernel, servers } = await serving(NAMES.map((name, i) => ({ name, pods: [i + 1] })));
  await servers.stop();
  kernel.asked = kernel.listings = 0;
  return kernel;
}

async function read(kernel: FakeIpvsKernel, count: number): Promise<readonly string[]> {
  const asked = [...kernel.standing.values()].slice(0, count).map(({ server }) => server);
  const lines: string[] = [];
  await readDestinations(kernel.ipvs, { asked, total: kernel.standing.size }, (server, found) =>
    lines.push(`${serverKey(server)} ${found.map(({ weight }) => weight).join()}`),
  );
  return lines;
}

const lineOf = (name: string): string => `10.96.0.${name.charCodeAt(0)} 6 80 1`;

test('all come from the list, in order', async () => {
  const kernel = await kernelOfEight();
  expect(await read(kernel, 8)).toEqual(NAMES.map(lineOf));
  expect([kernel.listings, kernel.asked]).toEqual([1, 0]);
});

test('a few are asked for, and of none there is no list', async () => {
  const kernel = await kernelOfEight();
  expect(await read(kernel, 1)).toEqual([lineOf('a')]);
  expect([kernel.listings, kernel.asked]).toEqual([0, 1]);
  expect(await read(kernel, 0)).toEqual([]);
  expect(kernel.listings).toBe(0);
});

test('what the list leaves out is asked for', async () => {
  const kernel = await kernelOfEight();
  kernel.unlisted.add(`10.96.0.${'b'.charCodeAt(0)} 6 80`);
  expect(await read(kernel, 8)).toEqual(NAMES.map(lineOf));
  expect([kernel.listings, kernel.asked]).toEqual([1, 1]);
});

test('where there is no list all are asked for', async () => {
  const kernel = await kernelOfEight();
  kernel.hasListing = false;
  expect(await read(kernel, 8)).toEqual(NAMES.map(lineOf));
  expect(kernel.asked).toBe(8);
});
