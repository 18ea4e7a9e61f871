import { describe as group, expect, test } from '@jest/globals';
import { formatAddress, formatPrefix } from '../../../src/core/ip.js';
import { keyOf, parseObject } from '../../../src/kube/objects.js';
import { complaint, parsed } from './parsed.js';

const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } };
const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's', namespace: 'demo' } };
const slice = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'e', namespace: 'demo' } };
const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'demo' } };
const policy = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'np' } };

group('Node', () => {
  test('keeps addresses and pod networks and nothing else', () => {
    const object = parsed('Node', {
      ...node,
      metadata: {
        name: 'n1',
        uid: 'u',
        creationTimestamp: '2026-11-20T08:11:04Z',
        labels: { a: 'b' },
        annotations: {
          'kube-router.io/node.asn': '65001',
          'peerage.io/x': 'y',
          'kubectl.kubernetes.io/last-applied-configuration': '{ a whole copy }',
        },
      },
      spec: {
        podCIDR: '10.244.1.0/24',
        podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'],
        taints: null,
        unschedulable: true,
      },
      status: {
        addresses: [
          { type: 'InternalIP', address: '10.0.0.11' },
          { type: 'Hostname', address: 'n1' },
          { type: 'InternalIP', address: 'fd00:10::11' },
        ],
        images: [],
      },
    });
    const { podCidrs, internalIps, ...rest } = object;
    expect(podCidrs.map(formatPrefix)).toEqual(['10.244.1.0/24', 'fd00:10:244:1::/64']);
    expect(internalIps.map(formatAddress)).toEqual(['10.0.0.11', 'fd00:10::11']);
    expect(rest).toEqual({
      kind: 'Node',
      namespace: '',
      name: 'n1',
      uid: 'u',
      createdAt: '2026-11-20T08:11:04Z',
      labels: { a: 'b' },
      annotations: { 'kube-router.io/node.asn': '65001', 'peerage.io/x': 'y' },
      unschedulable: true,
      leaving: false,
    });
  });

  test.each([
    ['it is being deleted', { metadata: { name: 'n1', deletionTimestamp: '2026-11-21T10:00:00Z' } }, true],
    [
      'the autoscaler is about to delete it',
      { spec: { taints: [{ key: 'a' }, { key: 'ToBeDeletedByClusterAutoscaler' }] } },
      true,
    ],
    [
      'it is cordoned only',
      { spec: { unschedulable: true, taints: [{ key: 'node.kubernetes.io/unschedulable' }] } },
      false,
    ],
  ])('leaves: %s', (_name, part, expected) => {
    expect(parsed('Node', { ...node, ...part }).leaving).toBe(expected);
  });

  test.each([
    ['podCIDR alone', { podCIDR: '10.244.1.0/24' }, ['10.244.1.0/24']],
    ['host bits, as old API servers let pass', { podCIDRs: ['10.244.1.7/24'] }, ['10.244.1.0/24']],
    ['no network yet', { podCIDR: '' }, []],
    ['no spec', undefined, []],
  ])('pod networks: %s', (_name, spec, expected) => {
    expect(parsed('Node', { ...node, spec }).podCidrs.map(formatPrefix)).toEqual(expected);
  });

  test.each([
    [
      'podCIDRs',
      { spec: { podCIDRs: ['10.244.1.0/24', 'fd00::/200'] } },
      /^Node n1: spec\.podCIDRs\[1\]: "fd00::\/200"/,
    ],
    ['no length', { spec: { podCIDR: '10.244.1.0' } }, /spec\.podCIDR: "10\.244\.1\.0" has no prefix length/],
    [
      'an address',
      { status: { addresses: [{ type: 'InternalIP', address: '10.0.0.300' }] } },
      /^Node n1: status\.addresses\[0\]\.address: "10\.0\.0\.300" is not an IP address$/,
    ],
    ['labels', { metadata: { name: 'n1', labels: { a: 1 } } }, /^Node n1: metadata\.labels\.a: /],
  ])('complains about %s', (_name, part, text) => {
    expect(complaint({ ...node, ...part })).toMatch(text);
  });
});

group('Service', () => {
  test('keeps what a proxy needs', () => {
    const object = parsed('Service', {
      ...service,
      spec: {
        type: 'LoadBalancer',
        clusterIP: '10.96.0.8',
        clusterIPs: ['10.96.0.8', 'FD00:10:96::E08'],
        externalIPs: ['192.0.2.1'],
        loadBalancerSourceRanges: ['203.0.113.0/24'],
        externalTrafficPolicy: 'Local',
        healthCheckNodePort: 30123,
        sessionAffinity: 'ClientIP',
        ports: [
          { name: 'http', port: 80, nodePort: 30080 },
          { name: 'dns', port: 53, protocol: 'UDP' },
        ],
      },
      status: {
        loadBalancer: {
          ingress: [{ ip: '198.51.100.1' }, { ip: '198.51.100.2', ipMode: 'Proxy' }, { hostname: 'lb' }],
        },
      },
    });
    expect(object).toMatchObject({
      type: 'LoadBalancer',
      clusterIps: ['10.96.0.8', 'fd00:10:96::e08'],
      externalIps: ['192.0.2.1'],
      loadBalancerIngress: [
        { ip: '198.51.100.1', ipMode: 'VIP' },
        { ip: '198.51.100.2', ipMode: 'Proxy' },
      ],
      internalTrafficPolicy: 'Cluster',
      externalTrafficPolicy: 'Local',
      clientIpAffinity: 10800,
      healthCheckNodePort: 30123,
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, nodePort: 30080 },
        { name: 'dns', protocol: 'UDP', port: 53, nodePort: 0 },
      ],
    });
    expect(object.loadBalancerSourceRanges.map(formatPrefix)).toEqual(['203.0.113.0/24']);
  });

  test.each([
    ['headless', { clusterIP: 'None', clusterIPs: ['None'] }, { clusterIps: [] }],
    ['external name', { type: 'ExternalName', externalName: 'example.org' }, { type: 'ExternalName', clusterIps: [] }],
    ['only clusterIP', { clusterIP: '10.96.0.9' }, { clusterIps: ['10.96.0.9'] }],
    [
      'affinity time',
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
      { clientIpAffinity: 60 },
    ],
  ])('%s', (_name, spec, expected) => {
    expect(parsed('Service', { ...service, spec })).toMatchObject(expected);
  });

  test.each([
    [{ clusterIP: '10.96.0.400' }, /^Service demo\/s: spec\.clusterIP: /],
    [{ ports: [{ port: 0 }] }, /^Service demo\/s: spec\.ports\[0\]\.port: /],
    [{ type: 'Loadbalancer' }, /^Service demo\/s: spec\.type: /],
    [{ sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } } }, /^Service demo\/s: spec\..*timeoutSeconds: /],
  ])('complains about %j', (spec, text) => {
    expect(complaint({ ...service, spec })).toMatch(text);
  });
});

group('ServiceCIDR', () => {
  const ranges = { apiVersion: 'networking.k8s.io/v1', kind: 'ServiceCIDR', metadata: { name: 'more' } };

  test('keeps its networks', () => {
    const { cidrs } = parsed('ServiceCIDR', { ...ranges, spec: { cidrs: ['10.97.0.0/16', 'fd00:10:97::/112'] } });
    expect(cidrs.map(formatPrefix)).toEqual(['10.97.0.0/16', 'fd00:10:97::/112']);
  });

  test('complains about what is no network', () => {
    expect(complaint({ ...ranges, spec: { cidrs: ['10.97.0.0'] } })).toMatch(/^ServiceCIDR more: spec\.cidrs\[0\]: /);
  });
});

group('Pod, Namespace', () => {
  test('a pod keeps node, addresses and named ports', () => {
    const object = parsed('Pod', {
      ...pod,
      spec: {
        nodeName: 'n1',
        containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }, { containerPort: 1 }] }],
      },
      status: { phase: 'Running', podIP: '10.244.1.10', podIPs: [{ ip: '10.244.1.10' }, { ip: 'fd00:10:244:1::A' }] },
    });
    expect(object).toMatchObject({
      nodeName: 'n1',
      hostNetwork: false,
      ips: ['10.244.1.10', 'fd00:10:244:1::a'],
      phase: 'Running',
      namedPorts: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    });
  });

  test('a pod that has not been placed yet', () => {
    expect(parsed('Pod', { ...pod, status: { phase: 'Pending' } })).toMatchObject({ nodeName: undefined, ips: [] });
  });

  test('a namespace has no namespace', () => {
    const json = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'demo', labels: { team: 'a' } } };
    expect(parsed('Namespace', json)).toMatchObject({ namespace: '', name: 'demo', labels: { team: 'a' } });
  });

  test('complains about an address', () => {
    expect(complaint({ ...pod, status: { podIPs: [{ ip: 'nope' }] } })).toMatch(
      /^Pod demo\/p: status\.podIPs\[0\]\.ip: /,
    );
  });
});

group('NetworkPolicy', () => {
  const rule = {
    from: [{ podSelector: { matchLabels: { app: 'web' } } }],
    ports: [{ port: 'http' }, { port: 1, endPort: 9 }],
  };
  test('reads selectors, blocks and ports', () => {
    const object = parsed('NetworkPolicy', {
      ...policy,
      spec: {
        podSelector: {},
        policyTypes: ['Ingress'],
        ingress: [rule, { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] }],
      },
    });
    expect(object.namespace).toBe('default');
    expect(object.egress).toBeUndefined();
    expect(object.ingress?.[0]).toEqual({
      peers: [{ kind: 'selector', pods: { matchLabels: { app: 'web' }, matchExpressions: [] }, namespaces: undefined }],
      ports: [
        { protocol: 'TCP', port: 'http', endPort: undefined },
        { protocol: 'TCP', port: 1, endPort: 9 },
      ],
    });
    const [block] = object.ingress?.[1]?.peers ?? [];
    expect(block?.kind === 'ipBlock' && [block.cidr, ...block.except].map(formatPrefix)).toEqual([
      '10.0.0.0/8',
      '10.1.0.0/16',
    ]);
  });

  test.each([
    ['no types, no rules: ingress closed', {}, [], undefined],
    ['no types, egress rules: both governed', { egress: [{}] }, [], [{ peers: [], ports: [] }]],
    ['egress only', { policyTypes: ['Egress'] }, undefined, []],
  ])('%s', (_name, spec, ingress, egress) => {
    const object = parsed('NetworkPolicy', { ...policy, spec });
    expect([object.ingress, object.egress]).toEqual([ingress, egress]);
  });

  test('complains about a peer that is nothing', () => {
    expect(complaint({ ...policy, spec: { ingress: [{ from: [{}] }] } })).toBe(
      'NetworkPolicy default/np: spec.ingress[0].from[0]: needs either an ipBlock or a selector',
    );
  });
});

group('any object', () => {
  test.each([
    ['a text', 'hello', 'is not an object'],
    ['a list', [], 'is not an object'],
    ['no kind', { apiVersion: 'v1' }, 'has no kind'],
    ['no version', { kind: 'Node' }, 'Node: has no apiVersion'],
    ['no name', { apiVersion: 'v1', kind: 'Node', metadata: {} }, 'Node: metadata.name is missing'],
    ['no metadata', { apiVersion: 'v1', kind: 'Node' }, 'Node: metadata.name is missing'],
    [
      'an old version',
      { ...slice, apiVersion: 'discovery.k8s.io/v1beta1' },
      'EndpointSlice demo/e: apiVersion: discovery.k8s.io/v1beta1 is not served here, only v1',
    ],
  ])('%s', (_name, json, text) => {
    expect(complaint(json)).toBe(text);
  });

  test.each([
    ['a kind that is none of ours', { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'x' } }],
    [
      'the same name in another group',
      { apiVersion: 'crd.projectcalico.org/v1', kind: 'NetworkPolicy', metadata: { name: 'x' } },
    ],
    ['the name of a property of all objects', { apiVersion: 'v1', kind: 'toString', metadata: { name: 'x' } }],
  ])('skips %s', (_name, json) => {
    expect(parseObject(json)).toEqual({ ok: true, value: undefined });
  });

  test('keys tell namespaces apart', () => {
    expect(keyOf(parsed('Pod', pod))).toBe('Pod/demo/p');
    expect(keyOf(parsed('Node', node))).toBe('Node/n1');
  });

  test('counts further complaints', () => {
    expect(complaint({ ...node, spec: { podCIDRs: ['x', 'y', 'z'] } })).toMatch(/podCIDRs\[0\].*\(and 2 more\)$/);
  });
});
