/** The kernel's own IPVS, in a guest that has it: what we write is what ipvsadm(8) sees, and what it writes is what we read. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';
import { parseAddress, type IpAddress } from '../../../src/core/ip.js';
import { openIpvs, type Ipvs } from '../../../src/kernel/ipvs/ipvs.js';
import type { ListedServer } from '../../../src/kernel/ipvs/listing.js';
import type { ServerId } from '../../../src/kernel/ipvs/messages.js';
import { vmSuite } from '../suite.js';

let opened: Ipvs | undefined;

function kernel(): Ipvs {
  if (opened === undefined) throw new Error('IPVS is not open');
  return opened;
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function saved(): string {
  return execFileSync('ipvsadm', ['-Sn'], { encoding: 'utf8' });
}

const FOUR = { address: address('10.96.0.1'), protocol: 6, port: 80 };
const SIX = { address: address('fd96::1'), protocol: 17, port: 53 };
const POD = { address: address('10.244.1.2'), port: 8080, weight: 3, method: 0 };
const POD_SIX = { address: address('fd44:1::2'), port: 5353, weight: 1, method: 0 };

export const ipvs = vmSuite('ipvs', 240, ({ check, prepare, cleanup }) => {
  prepare('open IPVS', async () => {
    const result = await openIpvs();
    if (typeof result === 'string') throw new Error(result);
    opened = result;
  });
  check('servers and destinations of both families are written as ipvsadm sees them', async () => {
    const refusals = await kernel().run([
      { kind: 'server', command: 'add', server: { ...FOUR, scheduler: 'rr', flags: 1, timeout: 10800 } },
      { kind: 'destination', command: 'add', server: FOUR, destination: POD },
      { kind: 'server', command: 'add', server: { ...SIX, scheduler: 'mh', flags: 0x18, timeout: 0 } },
      { kind: 'destination', command: 'add', server: SIX, destination: POD_SIX },
    ]);
    assert.deepEqual([...refusals], []);
    const text = saved();
    assert.match(text, /-A -t 10\.96\.0\.1:80 -s rr -p 10800\n/);
    assert.match(text, /-a -t 10\.96\.0\.1:80 -r 10\.244\.1\.2:8080 -m -w 3\n/);
    assert.match(text, /-A -u \[fd96::1\]:53 -s mh -b mh-fallback,mh-port\n/);
    assert.match(text, /-a -u \[fd96::1\]:53 -r \[fd44:1::2\]:5353 -m -w 1\n/);
  });
  check('they are read back as they were written', async () => {
    const servers = await kernel().servers();
    const four = servers.find(({ address: { version } }) => version === 4);
    const six = servers.find(({ address: { version } }) => version === 6);
    assert.equal(servers.length, 2);
    assert.deepEqual([four?.scheduler, four?.flags, four?.timeout, four?.port], ['rr', 1, 10800, 80]);
    assert.deepEqual([six?.scheduler, six?.flags, six?.address], ['mh', 0x18, SIX.address]);
    const alone = await kernel().server(SIX);
    assert.deepEqual([alone?.scheduler, alone?.flags, alone?.address], ['mh', 0x18, SIX.address]);
    assert.equal(await kernel().server({ ...SIX, port: 54 }), undefined);
    const [found] = await kernel().destinations(FOUR);
    const { counters, ...rest } = found!;
    assert.deepEqual(rest, { ...POD, active: 0, inactive: 0, persistent: 0 });
    assert.equal(counters.connections, 0n);
    assert.deepEqual((await kernel().destinations(SIX))[0]?.address, POD_SIX.address);
  });
  check('the list of all says the same of destinations as asking for each does', async () => {
    const add = (...words: readonly string[]): void => void execFileSync('ipvsadm', words);
    add('-A', '-f', '5', '-s', 'rr');
    add('-a', '-f', '5', '-r', '10.244.1.9:80', '-g');
    add('-A', '--sctp-service', '[fd96::2]:80', '-s', 'sh', '-p', '600');
    add('-a', '--sctp-service', '[fd96::2]:80', '-r', '[fd44:1::2]:8080', '-i', '-w', '65535');
    add('-A', '-u', '203.0.113.7:53', '-s', 'rr', '-o');
    add('-a', '-u', '203.0.113.7:53', '-r', '10.244.1.2:53', '-g', '-w', '0');
    add('-a', '-u', '203.0.113.7:53', '-r', '10.244.1.3:5353', '-m');
    const listed = await kernel().listing();
    const servers = await kernel().servers();
    assert.equal(listed?.length, 4);
    assert.equal(servers.length, 4);
    for (const server of servers) {
      const id = ({ address: at, protocol, port }: ServerId) => ({ at, protocol, port });
      const own: ListedServer | undefined = listed.find(one => isDeepStrictEqual(id(one), id(server)));
      const asked = await kernel().destinations(server);
      assert.deepEqual(
        own?.destinations,
        asked.map(({ address: at, port, method, weight, active, inactive }) => ({
          address: at,
          port,
          method,
          weight,
          active,
          inactive,
        })),
      );
    }
    add('-D', '-f', '5');
    add('-D', '--sctp-service', '[fd96::2]:80');
    add('-D', '-u', '203.0.113.7:53');
  });
  check('a destination is given up by weight 0, and changes of a server keep its destinations', async () => {
    const refusals = await kernel().run([
      { kind: 'destination', command: 'change', server: FOUR, destination: { ...POD, weight: 0 } },
      { kind: 'server', command: 'change', server: { ...FOUR, scheduler: 'wlc', flags: 0, timeout: 0 } },
      { kind: 'timeouts', timeouts: { tcp: 700, tcpFin: 0, udp: 0 } },
    ]);
    assert.deepEqual([...refusals], []);
    assert.match(saved(), /-A -t 10\.96\.0\.1:80 -s wlc\n-a -t 10\.96\.0\.1:80 -r 10\.244\.1\.2:8080 -m -w 0\n/);
    const timeouts = execFileSync('ipvsadm', ['-ln', '--timeout'], { encoding: 'utf8' });
    assert.match(timeouts, /: 700 120 300/);
  });
  check('a refusal costs itself only and says why', async () => {
    const elsewhere = { ...FOUR, port: 81 };
    const refusals = await kernel().run([
      { kind: 'destination', command: 'add', server: elsewhere, destination: POD },
      { kind: 'removeDestination', server: FOUR, destination: POD },
      { kind: 'removeServer', server: SIX },
    ]);
    assert.deepEqual([...refusals.keys()], [0]);
    assert.match(refusals.get(0) ?? '', /ESRCH/);
    assert.equal(saved(), '-A -t 10.96.0.1:80 -s wlc\n');
  });
  cleanup('remove what is left', async () => {
    await kernel().run([{ kind: 'removeServer', server: FOUR }]);
    kernel().close();
  });
});
