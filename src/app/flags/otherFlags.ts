/** kube-router's other flags (v2.11): service proxy, firewall, load balancer, and what concerns the process. */

import { FLOW_OFFLOAD } from '../config/firewallSchema.js';
import { TENANCIES } from '../config/tenantSchema.js';
import { oneOf, onePerFamily, portRange, positive, prefixPart } from './checks.js';
import { flag, type Flag, type FlagSpec, type FlagValue } from './flag.js';
import { bool, duration, listOf, named, text, uint, type GoValue } from './goValues.js';

const ranges = listOf('ranges', prefixPart);

const SERVED: readonly Flag[] = [
  flag('run-service-proxy', bool, {
    group: 'Service proxy',
    default: 'true',
    ownDefault: 'false',
    meaning: 'serve services in place of kube-proxy',
    target: 'kubernetes.run.serviceProxy',
  }),
  flag('proxy-mode', named('mode', text), {
    group: 'Service proxy',
    default: 'not there',
    ownDefault: 'auto',
    meaning: 'how services are programmed: auto, nftables or ipvs',
    target: 'kubernetes.proxy.mode',
    check: oneOf('auto', 'nftables', 'ipvs'),
  }),
  flag('kube-proxy-config', named('file', text), {
    group: 'Service proxy',
    default: 'not there',
    ownDefault: 'none',
    meaning: "a file of kube-proxy's configuration; flags and our own file go before it",
    target: 'kubernetes.proxy.kubeProxyConfig',
    to: file => (file === '' ? undefined : file),
  }),
  flag('hairpin-mode', bool, {
    group: 'Service proxy',
    default: 'false',
    meaning: 'accepted: pods always reach themselves through their services',
    status: 'different',
    note: 'has no effect: pods always reach themselves through their services',
  }),
  flag('masquerade-all', bool, {
    group: 'Service proxy',
    default: 'false',
    meaning: "the node's address as source of all service traffic",
    target: 'kubernetes.proxy.masqueradeAll',
  }),
  flag('nodeport-bindon-all-ip', bool, {
    group: 'Service proxy',
    default: 'false',
    meaning: 'node ports on every address of the node',
    target: 'kubernetes.proxy.nodePortAddresses',
    to: isAll => [isAll ? 'all' : 'primary'],
  }),
  flag('service-node-port-range', named('range', text), {
    group: 'Service proxy',
    default: '30000-32767',
    meaning: 'accepted: node ports are those that services have',
    status: 'different',
    note: 'has no effect: node ports are those that services have',
    check: portRange,
  }),
  flag('ipvs-sync-period', duration, {
    group: 'Service proxy',
    default: '5m',
    meaning: 'accepted: the kernel is read every minute, and written when something changes',
    status: 'different',
    note: 'has no effect: the kernel is read every minute, and written when something changes',
    check: positive,
  }),
];

/** A flag of a part of the proxy that only IPVS has. */
function ofIpvs<T extends FlagValue>(
  name: string,
  kind: GoValue<T>,
  spec: Omit<FlagSpec<T>, 'group' | 'status'>,
): Flag {
  return flag(name, kind, { ...spec, group: 'Service proxy' });
}

const OF_IPVS: readonly Flag[] = [
  ofIpvs('ipvs-graceful-termination', bool, {
    default: 'false',
    ownDefault: 'true',
    meaning: 'let connections to pods that end run out',
    target: 'kubernetes.proxy.ipvs.gracefulTermination',
  }),
  ofIpvs('ipvs-graceful-period', duration, {
    default: '30s',
    meaning: 'how long they may',
    target: 'kubernetes.proxy.ipvs.gracefulPeriod',
  }),
  ofIpvs('ipvs-permit-all', bool, {
    default: 'true',
    meaning: 'accept at service addresses only what services offer',
    target: 'kubernetes.proxy.ipvs.guardAddresses',
  }),
  ofIpvs('excluded-cidrs', ranges, {
    default: 'none',
    meaning: 'IPVS services in these ranges are never deleted',
    target: 'kubernetes.proxy.ipvs.excludedCidrs',
  }),
  ofIpvs('runtime-endpoint', named('socket', text), {
    default: 'none',
    meaning: 'socket of the container runtime, for direct server return',
    target: 'kubernetes.proxy.ipvs.runtimeEndpoint',
  }),
  ofIpvs('service-tcp-timeout', duration, {
    default: '0s',
    meaning: 'IPVS timeout of TCP connections',
    target: 'kubernetes.proxy.ipvs.tcpTimeout',
  }),
  ofIpvs('service-tcpfin-timeout', duration, {
    default: '0s',
    meaning: 'IPVS timeout after FIN',
    target: 'kubernetes.proxy.ipvs.tcpFinTimeout',
  }),
  ofIpvs('service-udp-timeout', duration, {
    default: '0s',
    meaning: 'IPVS timeout of UDP',
    target: 'kubernetes.proxy.ipvs.udpTimeout',
  }),
];

export const PROXY_FLAGS: readonly Flag[] = [
  ...SERVED,
  ...OF_IPVS,
  flag('service-cluster-ip-range', ranges, {
    group: 'Announcements',
    default: '10.96.0.0/12',
    ownDefault: 'none',
    meaning: 'ranges of cluster IPs, one of each IP version',
    target: 'kubernetes.services.clusterIpRanges',
    check: onePerFamily,
  }),
  flag('service-external-ip-range', ranges, {
    group: 'Announcements',
    default: 'none',
    meaning: 'external IPs of services must be in these ranges',
    target: 'kubernetes.services.externalIpRanges',
  }),
  flag('loadbalancer-ip-range', ranges, {
    group: 'Announcements',
    default: 'none',
    meaning: 'load-balancer IPs of services must be in these ranges, and are given out of them',
    target: 'kubernetes.services.loadBalancerIpRanges',
  }),
  flag('strict-external-ip-validation', bool, {
    group: 'Announcements',
    default: 'true',
    meaning: 'announce no external or load-balancer IP outside its ranges',
    target: 'kubernetes.services.strictValidation',
  }),
];

export const FIREWALL_FLAGS: readonly Flag[] = [
  flag('run-firewall', bool, {
    group: 'Firewall',
    default: 'true',
    ownDefault: 'false',
    meaning: 'enforce network policies',
    target: 'kubernetes.run.firewall',
  }),
  flag('netpol-default-deny', bool, {
    group: 'Firewall',
    default: 'false',
    meaning: 'drop what comes from and goes to pods of this node that are not known yet',
    target: 'kubernetes.firewall.defaultDeny',
  }),
  flag('netpol-flow-offload', named('mode', text), {
    group: 'Firewall',
    default: 'not there',
    ownDefault: 'off',
    meaning: 'auto: established connections are forwarded past all rules where that breaks nothing; off',
    target: 'kubernetes.firewall.flowOffload',
    check: oneOf(...FLOW_OFFLOAD),
  }),
  flag('iptables-sync-period', duration, {
    group: 'Firewall',
    default: '5m',
    meaning: 'accepted: policies are written when they change',
    status: 'different',
    note: 'has no effect: policies are written when they change, and what others change is put right at once',
    check: positive,
  }),
  flag('tenancy', named('mode', text), {
    group: 'Firewall',
    default: 'not there',
    ownDefault: 'none',
    meaning: 'namespace: every namespace is a network of its own; none: all are one',
    target: 'kubernetes.tenancy',
    check: oneOf(...TENANCIES),
  }),
  flag('use-nftables-for-netpol', bool, {
    group: 'Firewall',
    default: 'false',
    meaning: 'accepted: policies are always enforced by nftables',
    status: 'different',
    note: 'has no effect: policies are always enforced by nftables',
  }),
];

export const LOAD_BALANCER_FLAGS: readonly Flag[] = [
  flag('run-loadbalancer', bool, {
    group: 'Load balancer',
    default: 'false',
    meaning: 'give services addresses of --loadbalancer-ip-range',
    target: 'kubernetes.run.loadBalancer',
  }),
  flag('loadbalancer-default-class', bool, {
    group: 'Load balancer',
    default: 'true',
    meaning: 'also to services without a loadBalancerClass',
    target: 'kubernetes.loadBalancer.defaultClass',
  }),
  flag('loadbalancer-sync-period', duration, {
    group: 'Load balancer',
    default: '1m',
    meaning: 'accepted: services are looked at when they change',
    status: 'different',
    note: 'has no effect: services are looked at when they change',
    check: positive,
  }),
];

const port = uint(16);

export const GENERAL_FLAGS: readonly Flag[] = [
  flag('kubeconfig', named('file', text), {
    group: 'Cluster',
    default: "the pod's service account",
    meaning: 'how to reach the API server, and as whom',
    target: 'kubernetes.kubeconfig',
    to: file => (file === '' ? undefined : file),
  }),
  flag('master', named('url', text), {
    group: 'Cluster',
    default: 'that of kubeconfig',
    meaning: 'address of the API server',
    target: 'kubernetes.apiServer',
    check: url =>
      url === '' || /^https?:\/\/\S+$/.test(url) ? undefined : 'is not a URL, such as https://10.0.0.5:6443',
    to: url => (url === '' ? undefined : url),
  }),
  flag('health-port', port, {
    group: 'Health and metrics',
    default: '20244',
    meaning: 'port of /healthz; 0: none',
    target: 'kubernetes.health.port',
  }),
  flag('health-addr', named('address', text), {
    group: 'Health and metrics',
    default: 'all',
    meaning: 'address of it',
    target: 'kubernetes.health.address',
  }),
  flag('metrics-port', port, {
    group: 'Health and metrics',
    default: '0',
    meaning: 'port of metrics for Prometheus; 0: none',
    target: 'kubernetes.metrics.port',
  }),
  flag('metrics-addr', named('address', text), {
    group: 'Health and metrics',
    default: 'all',
    meaning: 'address of them',
    target: 'kubernetes.metrics.address',
  }),
  flag('metrics-path', named('path', text), {
    group: 'Health and metrics',
    default: '/metrics',
    meaning: 'their path',
    target: 'kubernetes.metrics.path',
  }),
  flag('enable-pprof', bool, {
    group: 'Health and metrics',
    default: 'false',
    meaning: 'accepted: kill -USR1 opens an inspector on loopback',
    status: 'different',
    note: 'has no effect: kill -USR1 PID opens the inspector of Node.js on loopback',
  }),
  flag('v', named('level', uint(8)), {
    group: 'Health and metrics',
    short: 'v',
    default: '0',
    meaning: '1 and 2 are --log-level debug, more is trace',
    target: 'log.level',
    to: level => (level === 0 ? 'info' : level < 3 ? 'debug' : 'trace'),
  }),
];

/** kube-router's flags that are no settings: the command line itself acts on them. */
export const PROCESS_FLAGS = ['cleanup-config', 'version', 'help'] as const;
