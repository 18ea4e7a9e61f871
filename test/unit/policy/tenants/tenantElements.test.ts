import { expect, test } from '@jest/globals';
import { parsePrefix, type IpPrefix } from '../../../../src/core/ip.js';
import { keyOctets, setOf } from '../../../../src/kernel/nftables/elements.js';
import type { IpText } from '../../../../src/kube/objectTypes.js';
import { addressElements, networkElements } from '../../../../src/policy/tenants/tenantElements.js';
import { TenantNumber } from '../../../../src/policy/tenants/tenantNumber.js';

function prefix(text: string): IpPrefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

test.each([
  ['a gateway and the network itself are no pods', ['10.1.2.0/24'], ['10.1.2.2-10.1.2.255']],
  ['of what is inside another, nothing is said', ['10.1.2.0/24', '10.1.0.0/16'], ['10.1.0.2-10.1.255.255']],
  ['twice is once', ['10.1.2.0/24', '10.1.2.0/24'], ['10.1.2.2-10.1.2.255']],
  ['neighbours stay two', ['10.1.2.0/25', '10.1.2.128/25'], ['10.1.2.2-10.1.2.127', '10.1.2.130-10.1.2.255']],
  ['too small to have a gateway', ['10.1.2.8/31', '10.1.2.7/32'], ['10.1.2.8-10.1.2.9', '10.1.2.7-10.1.2.7']],
  ['all there is', ['0.0.0.0/0'], ['0.0.0.2-255.255.255.255']],
])('networks of pods: %s', (_, networks, ranges) => {
  const dotted = (octets: string): string => Buffer.from(octets, 'latin1').join('.');
  const found = [...networkElements(networks.map(prefix)).keys()].map(key => {
    const octets = keyOctets(key);
    expect(octets.slice(0, 4)).toBe('\0\0\0\0');
    return `${dotted(octets.slice(4, 8))}-${dotted(octets.slice(8))}`;
  });
  expect(found).toEqual(ranges);
});

test.each([
  [17, true, ['tenants', 'denied-to', 'denied-from', 'members']],
  [17, false, ['tenants']],
  [0, true, ['tenants', 'denied-to', 'denied-from']],
  [1, true, ['tenants', 'denied-to', 'denied-from']],
])('an address of tenant %d, local: %s', (number, isLocal, sets) => {
  const elements = addressElements('fd00::1' as IpText, { number: TenantNumber(number), isLocal });
  expect([...elements.keys()].map(setOf)).toEqual(sets);
});
