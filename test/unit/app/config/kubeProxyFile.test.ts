import { expect, test } from '@jest/globals';
import { withKubeProxyFile } from '../../../../src/app/config/kubeProxyFile.js';
import { AgentConfig } from '../../../../src/app/kubeConfig.js';

const HEAD = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';

function settingsOf(text: string, own: unknown = {}): unknown {
  const result = withKubeProxyFile(own, HEAD + text);
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

/** As kubeadm writes it. */
const KUBEADM = `
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection: { acceptContentTypes: "", burst: 0, contentType: "", kubeconfig: /var/lib/kube-proxy/kubeconfig.conf, qps: 0 }
clusterCIDR: 10.244.0.0/16,fd00:10:244::/56
conntrack: { maxPerCore: null, min: null, tcpCloseWaitTimeout: null, tcpEstablishedTimeout: null }
detectLocal: { bridgeInterface: "", interfaceNamePrefix: "" }
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables: { localhostNodePorts: null, masqueradeAll: false, masqueradeBit: null, minSyncPeriod: 0s, syncPeriod: 0s }
ipvs: { excludeCIDRs: null, minSyncPeriod: 0s, scheduler: "", strictARP: false, syncPeriod: 0s, tcpFinTimeout: 0s, tcpTimeout: 0s, udpTimeout: 0s }
metricsBindAddress: ""
mode: ""
nodePortAddresses: null
`;

test("kubeadm's file is understood", () => {
  const settings = settingsOf(KUBEADM);
  expect(settings).toEqual({
    kubernetes: {
      kubeconfig: '/var/lib/kube-proxy/kubeconfig.conf',
      proxy: {
        masqueradeAll: false,
        pods: { cidrs: ['10.244.0.0/16', 'fd00:10:244::/56'] },
        conntrack: { maxPerCore: 32_768, min: 131_072, tcpEstablishedTimeout: 86_400, tcpCloseWaitTimeout: 3600 },
        ipvs: { strictArp: false, tcpFinTimeout: 0, tcpTimeout: 0, udpTimeout: 0 },
      },
    },
  });
  expect(AgentConfig.parse(settings).kubernetes.proxy.mode).toBe('auto');
});

test('what means something here', () => {
  const text = `
mode: nftables
nftables: { masqueradeAll: true, masqueradeBit: 13 }
iptables: { masqueradeAll: false }
detectLocalMode: BridgeInterface
detectLocal: { bridgeInterface: cni0 }
nodePortAddresses: [primary, 10.0.0.0/8]
healthzBindAddress: 0.0.0.0:10300
metricsBindAddress: "[::1]:10249"
hostnameOverride: node-7
ipvs: { tcpTimeout: 15m, scheduler: lc, excludeCIDRs: [10.9.0.0/16] }
`;
  const { kubernetes } = AgentConfig.parse(settingsOf(text));
  expect(kubernetes).toMatchObject({
    nodeName: 'node-7',
    metrics: { address: '::1', port: 10249 },
    proxy: {
      mode: 'nftables',
      masqueradeAll: true,
      masqueradeBit: 13,
      pods: { link: 'cni0' },
      nodePortAddresses: ['primary', '10.0.0.0/8'],
      healthPort: 10300,
      healthAddress: '',
      ipvs: { tcpTimeout: 900, scheduler: 'lc', excludedCidrs: ['10.9.0.0/16'] },
    },
  });
});

test('our own file goes before it', () => {
  const conntrack = { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0, tcpCloseWaitTimeout: 0 };
  const own = { kubernetes: { proxy: { masqueradeAll: false, conntrack } } };
  expect(settingsOf('iptables: { masqueradeAll: true, masqueradeBit: 5 }', own)).toEqual({
    kubernetes: { proxy: { masqueradeAll: false, masqueradeBit: 5, conntrack } },
  });
});

test.each([
  ['kind: Pod', 'is no KubeProxyConfiguration'],
  ['[', ''],
])('%j is refused', (text, reason) => {
  const result = withKubeProxyFile({}, text);
  expect(result).toMatchObject({ ok: false, error: expect.stringContaining(reason) });
});

test('limits of connection tracking are its own, where it has any', () => {
  const text = `
conntrack: { maxPerCore: 0, min: null, tcpEstablishedTimeout: 2h30m0s, tcpBeLiberal: true, udpTimeout: 30s, udpStreamTimeout: 0s }
`;
  expect(AgentConfig.parse(settingsOf(text)).kubernetes.proxy.conntrack).toEqual({
    maxPerCore: 0,
    min: 131_072,
    tcpEstablishedTimeout: 9000,
    tcpCloseWaitTimeout: 3600,
    tcpBeLiberal: true,
    udpTimeout: 30,
    udpStreamTimeout: 0,
  });
  const own = { kubernetes: { proxy: { conntrack: { maxPerCore: 1 } } } };
  expect(AgentConfig.parse(settingsOf(text, own)).kubernetes.proxy.conntrack.maxPerCore).toBe(1);
});
