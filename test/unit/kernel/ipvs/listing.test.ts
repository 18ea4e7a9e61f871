import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatAddress } from '../../../../src/core/ip.js';
import { createListing, type ListedServer } from '../../../../src/kernel/ipvs/listing.js';

/** As Linux 6.12 prints it. */
const TEXT = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:0050 rr 
  -> 0AF40103:1F90      Masq    1      2          30        
  -> 0AF40102:1F90      Masq    0      0          0         
UDP  CB007107:0035 sh ops persistent 10800 FFFFFFFF
  -> 0AF40102:0035      Tunnel  65535  0          123456789 
FWM  00000005 rr 
  -> 0AF40109:0050      Route   1      0          0         
SCTP  [fd96:0000:0000:0000:0000:0000:0000:0001]:0050 wlc 
  -> [fd44:0000:0000:0000:0000:0000:0000:000a]:1F90      Local   7      0          0         
  -> 0AF40109:0050      Tunnel  1      0          0         
TCP  0A600009:FFFF rr 
`;

function lines(servers: readonly ListedServer[]): readonly string[] {
  return servers.map(({ address, protocol, port, destinations }) => {
    const all = destinations.map(
      one => `${formatAddress(one.address)} ${one.port} ${one.method} ${one.weight} ${one.active} ${one.inactive}`,
    );
    return [`${formatAddress(address)} ${protocol} ${port}`, ...all].join(', ');
  });
}

const READ = [
  '10.96.0.1 6 80, 10.244.1.3 8080 0 1 2 30, 10.244.1.2 8080 0 0 0 0',
  '203.0.113.7 17 53, 10.244.1.2 53 2 65535 0 123456789',
  'fd96::1 132 80, fd44::a 8080 1 7 0 0',
  '10.96.0.9 6 65535',
];

function listed(...pieces: readonly string[]): readonly string[] {
  const listing = createListing();
  for (const piece of pieces) listing.add(Buffer.from(piece, 'latin1'));
  return lines(listing.finish());
}

describe('the list of all virtual servers', () => {
  test('is read whole, without marks and destinations of another family', () => {
    expect(listed(TEXT)).toEqual(READ);
  });

  test('wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(TEXT.length), { maxLength: 5 }), cuts => {
        const places = [0, ...cuts.sort((a, b) => a - b), TEXT.length];
        expect(listed(...places.slice(1).map((end, i) => TEXT.slice(places[i], end)))).toEqual(READ);
      }),
    );
  });

  test('a server of which something cannot be read is left out, and its neighbours are not', () => {
    expect(listed(TEXT.replace('Tunnel  65535', 'Carrier 1'))).toEqual(READ.filter(line => !line.includes('203.0')));
    expect(listed(TEXT.replace('UDP  CB007107:0035', 'UDP  CB0071:0035'))).toEqual(
      READ.filter(line => !line.includes('203.0')),
    );
    expect(listed(TEXT.replace('1      2          30', 'x      2          30'))).toEqual(READ.slice(1));
  });

  test('of nothing there is nothing', () => {
    expect(listed('')).toEqual([]);
    expect(listed(TEXT.slice(0, TEXT.indexOf('TCP')))).toEqual([]);
  });
});
