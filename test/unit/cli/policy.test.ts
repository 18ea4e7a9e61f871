import { afterAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './commandLine.js';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'peerage-policy-'));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const SHOP = 'examples/policy/shop';
const explain = (from: string, to: string, port: string, manifests = SHOP, ...more: string[]): ReturnType<typeof run> =>
  run('explain', 'policy', '--from', from, '--to', to, '--port', port, '--manifests', manifests, ...more);

describe('explain policy', () => {
  test('says what decides at each end, and where it is written', async () => {
    const { out, err, error } = await explain('shop/deployment/frontend', 'shop/service/database', '5432');
    expect({ err, error }).toEqual({ err: '', error: undefined });
    expect(out.split('\n').map(line => line.trim())).toEqual([
      'service shop/database: all of its endpoints allowed (1 below)',
      '',
      'ALLOWED  shop/deployment/frontend -> shop/statefulset/database port 5432/tcp',
      'egress of shop/deployment/frontend: allowed',
      'NetworkPolicy shop/frontend spec.egress[0] accepts to pods app=database of namespace shop on sql/TCP',
      'NetworkPolicy shop/frontend is in policies.yaml:9',
      'ingress of shop/statefulset/database: allowed',
      'NetworkPolicy shop/database spec.ingress[0] accepts from pods app=frontend of namespace shop on sql/TCP',
      'NetworkPolicy shop/database is in policies.yaml:21',
      '',
    ]);
  });

  test('says which rules come nearest to allowing it', async () => {
    const { out } = await explain('monitoring/prometheus', 'shop/statefulset/database', '5432/tcp');
    expect(out).toContain('DENIED  monitoring/deployment/prometheus -> shop/statefulset/database port 5432/tcp');
    expect(out).toContain('selected by NetworkPolicy shop/database, NetworkPolicy shop/default-deny, and no ingress');
    expect(out).toMatch(/spec\.ingress\[1\] \(policies\.yaml:21\) accepts from .*; if its ports included this one/);
    expect(out).toMatch(/spec\.ingress\[0\] .*; if its peers included the other end/);
  });

  test('never lets what somebody wrote command the terminal', async () => {
    const manifests = folderWith({
      'all.yaml': `
apiVersion: v1
kind: Namespace
metadata: { name: x, annotations: { peerage.io/egress.rules: "allow\\e[2Jall, deny 192.0.2.0/24" } }
---
apiVersion: v1
kind: Pod
metadata: { namespace: x, name: a }
spec: { nodeName: n, containers: [] }
status: { phase: Running, podIPs: [{ ip: 10.0.0.1 }] }
`,
    });
    const { out } = await explain('x/a', '192.0.2.1', '80', manifests);
    expect(out).toContain('allow\\x1b[2Jall');
    expect(out).not.toMatch(/[^\P{Cc}\n]/u);
  });

  test('as JSON', async () => {
    const { out } = await explain('192.0.2.1', 'shop/service/frontend', '80', SHOP, '-o', 'json');
    expect(JSON.parse(out)).toMatchObject({
      from: '192.0.2.1',
      to: 'service shop/frontend',
      allowed: 'all',
      connections: [
        { to: 'shop/deployment/frontend', port: 8080, egress: { allowed: true }, ingress: { allowed: true } },
      ],
    });
  });

  test.each([
    [
      'shop/frontend',
      'shop/database',
      '5432',
      /"shop\/frontend" may be several things: say shop\/service\/frontend or/,
    ],
    [
      'shop/service/frontend',
      'shop/statefulset/database',
      '1',
      /service shop\/frontend receives connections and makes none/,
    ],
    [
      'shop/frontned',
      'shop/service/database',
      '5432',
      /no shop\/frontned in the manifests; did you mean shop\/frontend\?/,
    ],
    ['shop/servic/frontend', 'shop/service/database', '1', /did you mean shop\/service\/frontend\?/],
    ['192.0.2.1', 'shop/service/database', '80', /service shop\/database has no port 80\/tcp; its ports: 5432\/tcp/],
    ['192.0.2.1', 'shop/service/database', '5432/icmp', /"5432\/icmp" is no port/],
    ['192.0.2.1', 'shop/service/database', '65536', /"65536" is no port/],
    ['192.0.2.', 'shop/service/database', '5432', /"192\.0\.2\." is not an IP address, and no namespace\/name either/],
  ])('refuses a question: %s to %s port %s', async (from, to, port, text) => {
    expect(String((await explain(from, to, port)).error)).toMatch(text);
  });

  test('a folder that is none, and one with nothing in it', async () => {
    expect(String((await explain('1.1.1.1', '2.2.2.2', '80', '/nowhere/at/all')).error)).toMatch(/ENOENT/);
    expect(String((await explain('1.1.1.1', '2.2.2.2', '80', folderWith({ 'a.txt': '' }))).error)).toMatch(
      /has no \*\.yaml/,
    );
  });

  test('warns of what it cannot read, with file and line', async () => {
    const folder = folderWith({
      'a.yaml':
        'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {policyTypes: [In]}\n',
      'b.yaml': 'a: [',
      'c.yaml':
        'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: 1}}}\n',
    });
    const { err } = await explain('192.0.2.1', '192.0.2.2', '80', folder);
    expect(err).toMatch(/warning: a\.yaml:1: NetworkPolicy default\/p: spec\.policyTypes\[0\]/);
    expect(err).toMatch(/warning: b\.yaml:1: /);
    expect(err).toMatch(/warning: c\.yaml:1: Deployment default\/d: spec\.template: spec\.containers/);
  });
});

describe('pods, nodes and services as they are in a cluster', () => {
  const pod = (name: string, ips: readonly string[], more = ''): string =>
    `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, namespace: d, labels: {app: ${name}}}, ` +
    `spec: {nodeName: n1${more}}, status: {phase: Running, podIPs: [${ips.map(ip => `{ip: "${ip}"}`).join(', ')}]}}`;
  const folder = folderWith({
    'cluster.yaml': [
      '{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 10.0.0.1}]}}',
      pod('a', ['10.244.0.1', 'fd00::1']),
      pod('b', ['10.244.0.2', 'fd00::2']),
      pod('six', ['fd00::6']),
      pod('host', ['10.0.0.1'], ', hostNetwork: true'),
      '{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: d}, spec: {template: {metadata: {labels: {app: a}}}}}',
      '{apiVersion: v1, kind: Service, metadata: {name: s, namespace: d}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}',
      '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s-1, namespace: d, labels: {kubernetes.io/service-name: s}}, ' +
        'addressType: IPv4, endpoints: [{addresses: [10.244.0.2]}, {addresses: [192.0.2.9]}], ports: [{port: 8080}]}',
      '{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: four, namespace: d}, ' +
        'spec: {podSelector: {matchLabels: {app: b}}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16}}]}]}}',
    ].join('\n---\n'),
  });

  test('the families of a connection are judged by themselves', async () => {
    const { out } = await explain('d/a', 'd/b', '80', folder);
    expect(out).toContain('ALLOWED  d/a -> d/b port 80/tcp (IPv4)');
    expect(out).toContain('DENIED  d/a -> d/b port 80/tcp (IPv6)');
  });

  test('what is the same in both is said once', async () => {
    const { out } = await explain('d/b', 'd/a', '80', folder);
    expect(out.match(/ALLOWED/g)).toHaveLength(1);
    expect(out).toContain('d/b -> d/a port 80/tcp\n');
  });

  test('ends of different families never meet', async () => {
    expect(String((await explain('d/six', '192.0.2.1', '80', folder)).error)).toMatch(/no address family in common/);
  });

  test('an address is the pod, the node or the service that has it', async () => {
    expect((await explain('fd00::1', 'd/b', '80', folder)).out).toContain('DENIED  d/a -> d/b port 80/tcp (IPv6)');
    expect((await explain('10.0.0.1', 'd/b', '80', folder)).out).toContain('10.0.0.1 (node n1) -> d/b');
    const { out } = await explain('d/a', '10.96.0.1', '80', folder);
    expect(out).toContain('service d/s: all of its endpoints allowed (2 below)');
    expect(out).toContain('ALLOWED  d/a -> d/b port 8080/tcp');
    expect(out).toContain('ALLOWED  d/a -> 192.0.2.9 port 8080/tcp');
  });

  test('a node reaches its own pods whatever policies say, and so do pods on its network', async () => {
    for (const from of ['10.0.0.1', 'd/host'])
      expect((await explain(from, 'd/b', '80', folder)).out).toContain('a pod and its own node reach each other');
  });
});
