import { describe as group, expect, test } from '@jest/globals';
import { complaint, parsed } from './parsed.js';

const slice = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'e', namespace: 'demo' } };

group('EndpointSlice', () => {
  test.each([
    ['with a fraction', '2026-11-21T11:19:31.123456789Z', Date.UTC(2026, 10, 21, 11, 19, 31, 123)],
    ['no time', 'yesterday', undefined],
    ['not said', undefined, undefined],
  ])('when it was triggered: %s', (_name, time, expected) => {
    const annotations = time === undefined ? {} : { 'endpoints.kubernetes.io/last-change-trigger-time': time };
    const object = parsed('EndpointSlice', {
      ...slice,
      metadata: { ...slice.metadata, annotations },
      addressType: 'IPv4',
    });
    expect(object.triggeredAt).toBe(expected);
    expect(object.annotations).toEqual({});
  });

  test('conditions that are left out mean what discovery.k8s.io/v1 says', () => {
    const object = parsed('EndpointSlice', {
      ...slice,
      metadata: { ...slice.metadata, labels: { 'kubernetes.io/service-name': 's' } },
      addressType: 'IPv4',
      endpoints: [
        { addresses: ['10.244.1.10'], nodeName: 'n1', hints: { forZones: [{ name: 'z' }] } },
        { addresses: ['10.244.1.11'], conditions: { ready: false } },
        { addresses: ['10.244.1.12'], conditions: { ready: false, serving: true, terminating: true } },
      ],
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }, { name: 'any' }],
    });
    expect(object.service).toBe('s');
    expect(object.endpoints).toEqual([
      {
        addresses: ['10.244.1.10'],
        ready: true,
        serving: true,
        terminating: false,
        nodeName: 'n1',
        zoneHints: ['z'],
        nodeHints: [],
      },
      {
        addresses: ['10.244.1.11'],
        ready: false,
        serving: false,
        terminating: false,
        nodeName: undefined,
        zoneHints: [],
        nodeHints: [],
      },
      {
        addresses: ['10.244.1.12'],
        ready: false,
        serving: true,
        terminating: true,
        nodeName: undefined,
        zoneHints: [],
        nodeHints: [],
      },
    ]);
    expect(object.ports).toEqual([{ name: 'http', protocol: 'TCP', port: 8080 }]);
  });

  test('one without endpoints, as Go prints it', () => {
    expect(parsed('EndpointSlice', { ...slice, addressType: 'IPv6', endpoints: null, ports: null }).endpoints).toEqual(
      [],
    );
  });

  test('host names are no addresses', () => {
    const object = parsed('EndpointSlice', {
      ...slice,
      addressType: 'FQDN',
      endpoints: [{ addresses: ['a.example'] }],
    });
    expect(object.endpoints).toEqual([]);
  });

  test('complains about an address', () => {
    expect(complaint({ ...slice, addressType: 'IPv4', endpoints: [{ addresses: ['x'] }] })).toBe(
      'EndpointSlice demo/e: endpoints[0].addresses[0]: "x" is not an IP address',
    );
  });

  test.each([
    ['IPv4', 'fd00::1'],
    ['IPv6', '10.244.1.1'],
  ])('complains about an address of the other family: %s', (addressType, address) => {
    const endpoints = [{ addresses: [address] }];
    expect(complaint({ ...slice, addressType, endpoints })).toBe(
      `EndpointSlice demo/e: endpoints[0].addresses[0]: is no ${addressType} address`,
    );
  });
});
