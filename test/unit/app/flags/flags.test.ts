import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FLAGS } from '../../../../src/app/flags/flagTable.js';
import { PROCESS_FLAGS } from '../../../../src/app/flags/otherFlags.js';
import { notices, readFlags } from '../../../../src/app/flags/readFlags.js';
import { valueAt } from '../../../../src/app/flags/settings.js';
import { loadAgentConfig } from '../../../../src/app/kubeConfigFile.js';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'peerage-flags-'));
  writeFileSync(join(directory, 'keys'), 'c2VjcmV0,\n');
  const kubeProxy = 'kind: KubeProxyConfiguration\niptables: { masqueradeAll: true }\n';
  writeFileSync(join(directory, 'kube-proxy'), kubeProxy);
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** `--name=text` words as the command line has them. */
function textsOf(words: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const texts = new Map<string, string[]>();
  for (const word of words) {
    const given = word.replace('KEYS', join(directory, 'keys')).replace('KUBEPROXY', join(directory, 'kube-proxy'));
    const [, name = '', text = ''] = /^--([\w-]+)=(.*)$/.exec(given) ?? [];
    texts.set(name, [...(texts.get(name) ?? []), text]);
  }
  return texts;
}

function load(words: readonly string[], yaml?: string): ReturnType<typeof loadAgentConfig> {
  const given = readFlags(textsOf(words));
  if (!given.ok) return given;
  const file = yaml === undefined ? undefined : join(directory, 'agent.yaml');
  if (file !== undefined) writeFileSync(file, yaml ?? '');
  return loadAgentConfig(file, given.value);
}

/** What stands at a path of the checked settings. */
function settingOf(words: readonly string[], path: string, yaml?: string): unknown {
  const loaded = load(words, yaml);
  if (!loaded.ok) throw new Error(loaded.error.map(error => error.message).join('\n'));
  return valueAt(loaded.value.settings, path);
}

function mistakesOf(words: readonly string[], yaml?: string): readonly string[] {
  const loaded = load(words, yaml);
  return loaded.ok ? [] : loaded.error.map(error => error.message.replaceAll(`${directory}/`, ''));
}

const PEER = ['--peer-router-ips=10.0.0.1', '--peer-router-asns=64999'];
const PAIR = ['--peer-router-ips=10.0.0.1,fd00::1', '--peer-router-asns=64999,65010'];
const AT = { address: '10.0.0.1', asn: 64999 };

/** A line for every flag that has an effect: words, where it shows, what stands there. */
const EFFECTS: readonly (readonly [flag: string, words: readonly string[], path: string, value: unknown])[] = [
  ['run-router', ['--run-router=true'], 'kubernetes.run.router', true],
  ['enable-ibgp', ['--enable-ibgp=false'], 'kubernetes.mesh', false],
  ['nodes-full-mesh', ['--nodes-full-mesh=false'], 'kubernetes.fullMesh', false],
  ['cluster-asn', ['--cluster-asn=65001'], 'router.asn', 65001],
  ['cluster-asn', ['--cluster-asn=0'], 'router.asn', 64512],
  ['cluster-asn', ['--cluster-asn=4200000001'], 'router.asn', 4200000001],
  ['router-id', ['--router-id=10.9.9.9'], 'router.id', '10.9.9.9'],
  ['router-id', ['--router-id=generate'], 'kubernetes.generateRouterId', true],
  ['bgp-port', ['--bgp-port=1790'], 'kubernetes.bgpPort', 1790],
  ['bgp-holdtime', ['--bgp-holdtime=30s'], 'kubernetes.externalPeer.holdTime', 30],
  ['bgp-holdtime', ['--bgp-holdtime=18h12m16s'], 'kubernetes.externalPeer.holdTime', 65535],
  ['bgp-graceful-restart', ['--bgp-graceful-restart=false'], 'router.gracefulRestart', false],
  ['bgp-graceful-restart-time', ['--bgp-graceful-restart-time=2m'], 'router.gracefulRestart.restartTime', 120],
  [
    'bgp-graceful-restart-deferral-time',
    ['--bgp-graceful-restart-deferral-time=6m'],
    'router.gracefulRestart.deferralTime',
    360,
  ],
  ['peer-router-ips', PEER, 'kubernetes.externalPeers', [AT]],
  ['peer-router-asns', PAIR, 'kubernetes.externalPeers.1', undefined],
  ['peer-router-ports', [...PEER, '--peer-router-ports=1179'], 'kubernetes.externalPeers', [{ ...AT, port: 1179 }]],
  [
    'peer-router-passwords',
    [...PEER, '--peer-router-passwords=c2VjcmV0'],
    'kubernetes.externalPeers',
    [{ ...AT, password: { value: 'secret' } }],
  ],
  [
    'peer-router-passwords-file',
    [...PAIR, '--peer-router-passwords-file=KEYS'],
    'kubernetes.externalPeers',
    [
      { ...AT, password: { value: 'secret' } },
      { address: 'fd00::1', asn: 65010 },
    ],
  ],
  ['peer-router-multihop-ttl', ['--peer-router-multihop-ttl=5'], 'kubernetes.externalPeer.multihop', 5],
  ['peer-router-multihop-ttl', ['--peer-router-multihop-ttl=1'], 'kubernetes.externalPeer.multihop', undefined],
  ['override-nexthop', ['--override-nexthop=true'], 'kubernetes.overrideNextHop', true],
  ['enable-bfd', ['--enable-bfd=true'], 'kubernetes.bfd.port', 3784],
  ['bfd-port', ['--enable-bfd=true', '--bfd-port=4784'], 'kubernetes.bfd.port', 4784],
  ['bfd-port', ['--bfd-port=4784'], 'kubernetes.bfd', undefined],
  [
    'bfd-detection-multiplier',
    ['--enable-bfd=true', '--bfd-detection-multiplier=5'],
    'kubernetes.bfd.detectionMultiplier',
    5,
  ],
  [
    'bfd-desired-min-tx-interval',
    ['--enable-bfd=true', '--bfd-desired-min-tx-interval=300'],
    'kubernetes.bfd.desiredMinTx',
    300,
  ],
  [
    'bfd-required-min-rx-interval',
    ['--enable-bfd=true', '--bfd-required-min-rx-interval=200'],
    'kubernetes.bfd.requiredMinRx',
    200,
  ],
  ['advertise-pod-cidr', ['--advertise-pod-cidr=false'], 'kubernetes.advertise.podCidr', false],
  ['advertise-cluster-ip', ['--advertise-cluster-ip=true'], 'kubernetes.advertise.clusterIp', true],
  ['advertise-external-ip', ['--advertise-external-ip=1'], 'kubernetes.advertise.externalIp', true],
  ['advertise-loadbalancer-ip', ['--advertise-loadbalancer-ip=t'], 'kubernetes.advertise.loadBalancerIp', true],
  ['enable-ipv4', ['--enable-ipv4=false'], 'kubernetes.ipv4', false],
  ['enable-ipv6', ['--enable-ipv6=false'], 'kubernetes.ipv6', false],
  ['enable-overlay', ['--enable-overlay=false'], 'kubernetes.overlay.enabled', false],
  ['overlay-type', ['--overlay-type=full'], 'kubernetes.overlay.type', 'full'],
  ['overlay-encap', ['--overlay-encap=fou'], 'kubernetes.overlay.encapsulation', 'fou'],
  ['overlay-encap-port', ['--overlay-encap-port=6666'], 'kubernetes.overlay.port', 6666],
  ['enable-pod-egress', ['--enable-pod-egress=false'], 'kubernetes.egress.enabled', false],
  ['enable-cni', ['--enable-cni=false'], 'kubernetes.cni.enabled', false],
  ['auto-mtu', ['--auto-mtu=false'], 'kubernetes.cni.autoMtu', false],
  ['disable-source-dest-check', ['--disable-source-dest-check=false'], 'kubernetes.sourceDestCheck.disable', false],
  ['hostname-override', ['--hostname-override=node-7'], 'kubernetes.nodeName', 'node-7'],
  ['cache-sync-timeout', ['--cache-sync-timeout=2m'], 'kubernetes.cacheSyncTimeout', 120],
  ['injected-routes-sync-period', ['--injected-routes-sync-period=15s'], 'fib.readInterval', 15],
  [
    'service-cluster-ip-range',
    ['--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112'],
    'kubernetes.services.clusterIpRanges',
    ['10.96.0.0/16', 'fd00:96::/112'],
  ],
  [
    'service-external-ip-range',
    ['--service-external-ip-range=192.0.2.0/24', '--service-external-ip-range=198.51.100.0/24'],
    'kubernetes.services.externalIpRanges',
    ['192.0.2.0/24', '198.51.100.0/24'],
  ],
  [
    'loadbalancer-ip-range',
    ['--loadbalancer-ip-range=203.0.113.0/24'],
    'kubernetes.services.loadBalancerIpRanges',
    ['203.0.113.0/24'],
  ],
  [
    'strict-external-ip-validation',
    ['--strict-external-ip-validation=false'],
    'kubernetes.services.strictValidation',
    false,
  ],
  ['run-service-proxy', ['--run-service-proxy=true'], 'kubernetes.run.serviceProxy', true],
  ['proxy-mode', ['--proxy-mode=nftables'], 'kubernetes.proxy.mode', 'nftables'],
  ['kube-proxy-config', ['--kube-proxy-config=KUBEPROXY'], 'kubernetes.proxy.masqueradeAll', true],
  ['masquerade-all', ['--masquerade-all=true'], 'kubernetes.proxy.masqueradeAll', true],
  ['nodeport-bindon-all-ip', ['--nodeport-bindon-all-ip=true'], 'kubernetes.proxy.nodePortAddresses', ['all']],
  [
    'ipvs-graceful-termination',
    ['--ipvs-graceful-termination=false'],
    'kubernetes.proxy.ipvs.gracefulTermination',
    false,
  ],
  ['ipvs-graceful-period', ['--ipvs-graceful-period=1m'], 'kubernetes.proxy.ipvs.gracefulPeriod', 60],
  ['ipvs-permit-all', ['--ipvs-permit-all=false'], 'kubernetes.proxy.ipvs.guardAddresses', false],
  ['excluded-cidrs', ['--excluded-cidrs=10.9.0.0/16'], 'kubernetes.proxy.ipvs.excludedCidrs', ['10.9.0.0/16']],
  ['runtime-endpoint', ['--runtime-endpoint=/run/cri'], 'kubernetes.proxy.ipvs.runtimeEndpoint', '/run/cri'],
  ['service-tcp-timeout', ['--service-tcp-timeout=15m'], 'kubernetes.proxy.ipvs.tcpTimeout', 900],
  ['service-tcpfin-timeout', ['--service-tcpfin-timeout=2m'], 'kubernetes.proxy.ipvs.tcpFinTimeout', 120],
  ['service-udp-timeout', ['--service-udp-timeout=5m'], 'kubernetes.proxy.ipvs.udpTimeout', 300],
  ['run-firewall', ['--run-firewall=true'], 'kubernetes.run.firewall', true],
  ['tenancy', ['--tenancy=namespace'], 'kubernetes.tenancy', 'namespace'],
  ['netpol-default-deny', ['--netpol-default-deny=true'], 'kubernetes.firewall.defaultDeny', true],
  ['netpol-flow-offload', ['--netpol-flow-offload=auto'], 'kubernetes.firewall.flowOffload', 'auto'],
  [
    'run-loadbalancer',
    ['--run-loadbalancer=true', '--loadbalancer-ip-range=203.0.113.0/24'],
    'kubernetes.run.loadBalancer',
    true,
  ],
  ['loadbalancer-default-class', ['--loadbalancer-default-class=false'], 'kubernetes.loadBalancer.defaultClass', false],
  ['kubeconfig', ['--kubeconfig=/etc/kube/config'], 'kubernetes.kubeconfig', '/etc/kube/config'],
  ['master', ['--master=https://10.0.0.5:6443'], 'kubernetes.apiServer', 'https://10.0.0.5:6443'],
  ['health-port', ['--health-port=0'], 'kubernetes.health.port', 0],
  ['health-addr', ['--health-addr=127.0.0.1'], 'kubernetes.health.address', '127.0.0.1'],
  ['metrics-port', ['--metrics-port=8080'], 'kubernetes.metrics.port', 8080],
  ['metrics-addr', ['--metrics-addr=::1'], 'kubernetes.metrics.address', '::1'],
  ['metrics-path', ['--metrics-path=/m'], 'kubernetes.metrics.path', '/m'],
  ['v', ['--v=2'], 'log.level', 'debug'],
];

describe('a flag says what the file could say', () => {
  test.each(EFFECTS)('%s %j: %s', (_flag, words, path, value) => {
    expect(settingOf(words, path)).toEqual(value);
  });

  test('every flag with a place in the file stands above', () => {
    const tried = new Set(EFFECTS.map(([flag]) => flag));
    const untried = FLAGS.filter(({ name, target }) => target !== undefined && !tried.has(name));
    expect(untried.map(({ name }) => name)).toEqual([]);
  });
});

describe('a bad value is refused with flag and value', () => {
  test.each([
    [['--bgp-holdtime=2s'], ['--bgp-holdtime 2s: must be 3s to 18h12m16s']],
    [['--bgp-holdtime=90'], ['--bgp-holdtime 90: is not a duration, such as 90s, 5m or 1h30m']],
    [['--cluster-asn=23456'], [expect.stringMatching(/^--cluster-asn 23456: must be 64512 to 65535 or /)]],
    [['--bgp-port=0'], ['--bgp-port 0: must be 1 to 65535']],
    [['--bgp-graceful-restart-time=4096s'], [expect.stringContaining('at most 1h8m15s')]],
    [['--bgp-graceful-restart-deferral-time=19h'], [expect.stringContaining('at most 18h')]],
    [['--overlay-encap-port=1023'], ['--overlay-encap-port 1023: must be 1024 to 65535']],
    [['--overlay-encap=gre'], ['--overlay-encap gre: must be one of ipip, fou, vxlan']],
    [['--overlay-type=none'], ['--overlay-type none: must be one of subnet, full']],
    [['--router-id=fd00::1'], [expect.stringContaining('neither an IPv4 address nor')]],
    [['--routes-sync-period=0'], ['--routes-sync-period 0: must be more than 0']],
    [['--injected-routes-sync-period=-1s'], ['--injected-routes-sync-period -1s: must be more than 0']],
    [['--advertise-cluster-ip=yes'], ['--advertise-cluster-ip yes: is neither true nor false']],
    [['--bfd-detection-multiplier=256'], ['--bfd-detection-multiplier 256: must be 1 to 255']],
    [['--metrics-port=70000'], ['--metrics-port 70000: is more than 65535']],
    [['--peer-router-ips=10.0.0.1,x'], ['--peer-router-ips 10.0.0.1,x: "x" is not an IP address']],
    [
      ['--peer-router-ips=10.0.0.1', '--peer-router-asns=64000'],
      ['--peer-router-asns 64000: 64000 is a reserved AS number'],
    ],
    [
      ['--peer-router-ips=10.0.0.1,10.0.0.2', '--peer-router-asns=64999'],
      ['--peer-router-asns: has 1 entry for 2 in --peer-router-ips: give one for each'],
    ],
    [
      [...PAIR, '--peer-router-ports=179'],
      ['--peer-router-ports: has 1 entry for 2 in --peer-router-ips: give none, or one for each'],
    ],
    [
      [...PEER, '--peer-router-passwords-file=KEYS'],
      ['--peer-router-passwords-file: has 2 entries for 1 in --peer-router-ips: give none, or one for each'],
    ],
    [
      [...PEER, '--peer-router-passwords-file=/nonexistent/keys'],
      ['--peer-router-passwords-file: cannot be read: ENOENT: no such file or directory'],
    ],
    [
      ['--service-cluster-ip-range=10.96.0.0/12,10.112.0.0/12'],
      [expect.stringContaining('one range, or one of each IP version')],
    ],
    [['--service-external-ip-range=10.0.0.1/24'], [expect.stringContaining('did you mean 10.0.0.0/24?')]],
    [['--service-node-port-range=9-1'], [expect.stringContaining('is not a range of ports')]],
    [['--tenancy=pod'], ['--tenancy pod: must be one of none, namespace']],
    [['--proxy-mode=iptables'], ['--proxy-mode iptables: must be one of auto, nftables, ipvs']],
    [['--kube-proxy-config=/nonexistent/kp'], [expect.stringContaining('cannot be read: ENOENT')]],
    [['--run-loadbalancer=true'], [expect.stringMatching(/^--run-loadbalancer: there is nothing to give out/)]],
    [['--health-addr=localhost'], [expect.stringMatching(/^--health-addr: /)]],
    [['--metrics-path=metrics'], ['--metrics-path: must begin with /']],
    [['--enable-ipv4=false', '--enable-ipv6=false'], [expect.stringContaining('neither IPv4 nor IPv6')]],
    [
      ['--bgp-holdtime=1s', '--overlay-type=x'],
      ['--bgp-holdtime 1s: must be 3s to 18h12m16s', '--overlay-type x: must be one of subnet, full'],
    ],
  ])('%j', (words, expected) => {
    const sorted = [...mistakesOf(words)].sort();
    expect(sorted).toEqual(expected);
  });

  test('a key never stands in a message', () => {
    const words = [...PAIR, '--peer-router-passwords=c2VjcmV0,hunter2!'];
    expect(mistakesOf(words)).toEqual(['--peer-router-passwords: entry 2 is not base64']);
    const long = Buffer.alloc(81, 'x').toString('base64');
    expect(mistakesOf([...PEER, `--peer-router-passwords=${long}`])).toEqual([
      '--peer-router-passwords: entry 1 is longer than 80 octets',
    ]);
  });
});

describe('flags go before the file', () => {
  test('and leave the rest of it alone', () => {
    const yaml = 'kubernetes: { advertise: { clusterIp: true, podCidr: false }, bgpPort: 1790 }\n';
    expect(settingOf(['--advertise-cluster-ip=false'], 'kubernetes.advertise', yaml)).toMatchObject({
      clusterIp: false,
      podCidr: false,
    });
    expect(settingOf(['--advertise-cluster-ip=false'], 'kubernetes.bgpPort', yaml)).toBe(1790);
  });

  test('peers of both count; of one that both name, what the flags say', () => {
    const yaml =
      'kubernetes: { externalPeers: [{ address: 10.0.0.1, asn: 1, holdTime: 9 }, { address: 10.0.0.2, asn: 2 }] }\n';
    expect(settingOf(PAIR, 'kubernetes.externalPeers', yaml)).toEqual([
      { address: '10.0.0.1', asn: 64999, holdTime: 9 },
      { address: '10.0.0.2', asn: 2 },
      { address: 'fd00::1', asn: 65010 },
    ]);
  });

  test.each([
    ['router: { gracefulRestart: false }\n', ['--bgp-graceful-restart-time=2m'], false],
    ['router: { gracefulRestart: false }\n', ['--bgp-graceful-restart=true'], true],
    [
      'router: { gracefulRestart: { staleTime: 5 } }\n',
      ['--bgp-graceful-restart=true', '--bgp-graceful-restart-time=2m'],
      { restartTime: 120, staleTime: 5, deferralTime: 120 },
    ],
  ])('graceful restart: %j %j', (yaml, words, value) => {
    expect(settingOf(words, 'router.gracefulRestart', yaml)).toEqual(value);
  });

  test('BFD that the file asks for can be switched off', () => {
    const yaml = 'kubernetes: { bfd: { port: 4784 } }\n';
    expect(settingOf(['--enable-bfd=false'], 'kubernetes.bfd', yaml)).toBeUndefined();
    expect(settingOf(['--bfd-detection-multiplier=9'], 'kubernetes.bfd.port', yaml)).toBe(4784);
  });

  test('a router id of the file gives way to a generated one', () => {
    const yaml = 'router: { id: 10.9.9.9 }\n';
    expect(settingOf(['--router-id=generate'], 'router.id', yaml)).toBeUndefined();
  });

  test('mistakes of the file keep their line', () => {
    expect(mistakesOf(['--bgp-port=1790'], 'kubernetes:\n  mesch: false\n')).toEqual([
      'agent.yaml:2:3: kubernetes.mesch: unknown key; did you mean "mesh"?',
    ]);
  });

  test('files with keys are watched', () => {
    const loaded = load([...PAIR, '--peer-router-passwords-file=KEYS'], '');
    expect(loaded.ok && loaded.value.files).toEqual([join(directory, 'agent.yaml'), join(directory, 'keys')]);
  });
});

/** Of ours, beside kube-router's. */
const OWN = ['proxy-mode', 'kube-proxy-config', 'tenancy', 'netpol-flow-offload'];

test('kube-router has 79 flags, in groups of 42, 18, 4, 3 and 12', () => {
  expect(FLAGS.filter(({ name }) => !OWN.includes(name)).length + PROCESS_FLAGS.length).toBe(79);
  expect(new Set(FLAGS.map(({ name }) => name)).size).toBe(FLAGS.length);
});

test('what does something else than in kube-router is told', () => {
  const given = readFlags(textsOf(['--gobgp-admin-port=0', '--ipvs-sync-period=1m', '--bgp-port=179']));
  expect(given.ok && notices(given.value)).toEqual([
    expect.stringMatching(/^--gobgp-admin-port has no effect: /),
    expect.stringMatching(/^--ipvs-sync-period has no effect: the kernel is read every minute/),
  ]);
});
