import { describe, expect, test } from '@jest/globals';
import { virtualServers } from '../../../../src/proxy/ipvs/virtualServers.js';
import type { Backend, BackendLists } from '../../../../src/proxy/proxyTypes.js';
import { address, frontend, ipText, PORT } from './ipvsWorld.js';

function backend(text: string, weight = 1): Backend {
  return { address: ipText(text), port: 8080, weight, isLocal: false, state: 'ready' };
}

const [NEAR, FAR] = [backend('10.244.1.2'), backend('10.244.2.4', 70_000)];
const LISTS: BackendLists = { servicePort: PORT, cluster: [NEAR, FAR], local: [NEAR], serving: [NEAR, FAR] };

describe('virtual servers', () => {
  test('a cluster IP is one, with all of its list', () => {
    const servers = virtualServers(frontend(), LISTS, []);
    expect([...servers.keys()]).toEqual(['10.96.0.1 6 80']);
    const { server, destinations } = servers.get('10.96.0.1 6 80')!;
    expect(server).toMatchObject({ scheduler: 'rr', flags: 0, timeout: 0 });
    expect([...destinations].map(([key, { weight, method }]) => [key, weight, method])).toEqual([
      ['10.244.1.2 8080', 1, 0],
      ['10.244.2.4 8080', 65_535, 0],
    ]);
  });

  test('a node port is one for each address of the family', () => {
    const nodes = ['192.168.9.1', 'fd99::1', '192.168.9.2'].map(address);
    const servers = virtualServers(frontend({ kind: 'nodePort', address: undefined, port: 30080 }), LISTS, nodes);
    expect([...servers.keys()]).toEqual(['192.168.9.1 6 30080', '192.168.9.2 6 30080']);
  });

  test('policy Local has local backends only, and no server where there are none', () => {
    const local = frontend({ policy: 'local' });
    expect([...virtualServers(local, LISTS, []).values()].map(({ destinations }) => [...destinations.keys()])).toEqual([
      ['10.244.1.2 8080'],
    ]);
    expect(virtualServers(local, { ...LISTS, local: [] }, []).size).toBe(0);
    expect(virtualServers(frontend(), undefined, []).size).toBe(0);
  });

  test.each([
    ['affinity', { affinity: 60 }, { flags: 0x01, timeout: 60 }],
    ['flags of mh', { scheduling: { scheduler: 'mh', fallback: true, port: true, flag3: false } }, { flags: 0x18 }],
    ['the third flag', { scheduling: { scheduler: 'sh', fallback: false, port: false, flag3: true } }, { flags: 0x20 }],
  ] as const)('%s', (_name, more, expected) => {
    expect(virtualServers(frontend(more), LISTS, []).get('10.96.0.1 6 80')?.server).toMatchObject(expected);
  });

  test('direct server return goes through tunnels', () => {
    const [only] = virtualServers(frontend({ dsr: true }), LISTS, []).values();
    expect([...only!.destinations.values()].map(({ method }) => method)).toEqual([2, 2]);
  });
});
