/** What a container runtime is asked and tells, over gRPC on a unix socket. */

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Server, ServerCredentials, status, type handleUnaryCall } from '@grpc/grpc-js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openContainerRuntime, type ContainerRuntime } from '../../../../src/proxy/dsr/containerRuntime.js';
import { decodeStatus } from '../../../../src/proxy/dsr/criMessages.js';

/** Protocol buffers by hand: `[number, value]`; a number is a varint, a list a message. */
type Fields = readonly (readonly [number: number, value: number | string | Fields])[];

function encode(fields: Fields): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'number') return Buffer.from([number << 3, value]);
      const octets = typeof value === 'string' ? Buffer.from(value) : encode(value);
      const head = octets.length < 128 ? [octets.length] : [(octets.length & 127) | 128, octets.length >> 7];
      return Buffer.concat([Buffer.from([(number << 3) | 2, ...head]), octets]);
    }),
  );
}

/** As containerd tells it. */
function statusOf(ip: string, more: readonly string[], info: unknown, networkMode = 0): Buffer {
  return encode([
    [
      1,
      [
        [1, 'sandbox-1'],
        [3, 0],
        [5, [[1, ip], ...more.map((text): readonly [number, Fields] => [2, [[1, text]]])]],
        [6, [[1, [[2, [[1, networkMode]]]]]]],
      ],
    ],
    [
      2,
      [
        [1, 'info'],
        [2, typeof info === 'string' ? info : JSON.stringify(info)],
      ],
    ],
  ]);
}

const RUNTIME_SPEC = {
  linux: { namespaces: [{ type: 'pid' }, { type: 'network', path: '/var/run/netns/cni-1' }] },
};

describe('what is told', () => {
  const cases: readonly [what: string, octets: Buffer, addresses: readonly string[], namespaces: readonly string[]][] =
    [
      [
        'containerd: a path, and a process beside it',
        statusOf('10.244.1.2', ['fd44:1::2'], { pid: 4711, runtimeSpec: RUNTIME_SPEC }),
        ['10.244.1.2', 'fd44:1::2'],
        ['/var/run/netns/cni-1', '/proc/4711/ns/net'],
      ],
      ['a process alone', statusOf('10.244.1.2', [], { pid: 7 }), ['10.244.1.2'], ['/proc/7/ns/net']],
      [
        'no process',
        statusOf('10.244.1.2', [], { pid: 0, runtimeSpec: RUNTIME_SPEC }),
        ['10.244.1.2'],
        ['/var/run/netns/cni-1'],
      ],
      ['the node’s own network', statusOf('', [], { pid: 7, runtimeSpec: RUNTIME_SPEC }, 2), [], []],
      ['nothing that can be read', statusOf('10.244.1.2', [], '{'), ['10.244.1.2'], []],
    ];
  test.each(cases)('%s', (_, octets, addresses, namespaces) => {
    expect(decodeStatus('sandbox-1', octets)).toEqual({ id: 'sandbox-1', addresses, namespaces });
  });
});

describe('over a socket', () => {
  const directory = mkdtempSync(join(tmpdir(), 'peerage-cri-'));
  const path = join(directory, 'runtime.sock');
  const asked: string[] = [];
  let server: Server;
  let runtime: ContainerRuntime;

  beforeAll(async () => {
    const same = (octets: Buffer): Buffer => octets;
    const method = (name: string) => ({
      path: `/runtime.v1.RuntimeService/${name}`,
      requestStream: false as const,
      responseStream: false as const,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    });
    const list: handleUnaryCall<Buffer, Buffer> = ({ request }, answer) => {
      asked.push(`list ${request.toString('hex')}`);
      const items: Fields = [
        [1, [[1, 'sandbox-1']]],
        [
          1,
          [
            [1, 'old'],
            [3, 1],
          ],
        ],
      ];
      answer(null, encode(items));
    };
    const tell: handleUnaryCall<Buffer, Buffer> = ({ request }, answer) => {
      asked.push(`status ${request.toString('hex')}`);
      if (request.includes('sandbox-1')) answer(null, statusOf('10.244.1.2', [], { pid: 7 }));
      else if (request.includes('gone')) answer({ code: status.NOT_FOUND, details: 'no such sandbox' });
      else answer({ code: status.UNIMPLEMENTED, details: 'not here' });
    };
    server = new Server();
    server.addService(
      { ListPodSandbox: method('ListPodSandbox'), PodSandboxStatus: method('PodSandboxStatus') },
      { ListPodSandbox: list, PodSandboxStatus: tell },
    );
    await new Promise<void>((resolve, reject) =>
      server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), error =>
        error === null ? resolve() : reject(error),
      ),
    );
    const opened = openContainerRuntime(`unix://${path}`);
    if (typeof opened === 'string') throw new Error(opened);
    runtime = opened;
  });
  afterAll(() => {
    runtime.close();
    server.forceShutdown();
    rmSync(directory, { recursive: true, force: true });
  });

  test('sandboxes that are ready are asked for, and others left out', async () => {
    expect(await runtime.list()).toEqual(['sandbox-1']);
    // filter { state { } }: the state that is 0 is ready.
    expect(asked).toContain('list 0a021200');
  });

  test('one is asked for with all that is known', async () => {
    const sandbox = await runtime.sandbox('sandbox-1');
    expect(sandbox).toEqual({ id: 'sandbox-1', addresses: ['10.244.1.2'], namespaces: ['/proc/7/ns/net'] });
    expect(asked).toContain(`status 0a09${Buffer.from('sandbox-1').toString('hex')}1001`);
  });

  test('one that is gone is none, and another answer is an error', async () => {
    expect(await runtime.sandbox('gone')).toBeUndefined();
    await expect(runtime.sandbox('else')).rejects.toThrow(/not here/);
  });

  test('without a socket it is said where one was looked for', () => {
    expect(openContainerRuntime('/nowhere/runtime.sock')).toBe('there is no socket /nowhere/runtime.sock');
  });
});
