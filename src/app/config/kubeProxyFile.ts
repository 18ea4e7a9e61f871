/** kube-proxy's configuration file (kubeproxy.config.k8s.io/v1alpha1): the fields that mean something here. Pure. */

import { parse } from 'yaml';
import { err, ok, type Result } from '../../core/result.js';
import { parseDuration } from '../flags/goValues.js';
import { isSettings, valueAt, withValue, type Settings } from '../flags/settings.js';

type Row = readonly [from: string, to: string, read?: (value: unknown) => unknown];

const PROXY = 'kubernetes.proxy';

/** What it says in place of nothing at all is nothing. */
const ROWS: readonly Row[] = [
  ['mode', `${PROXY}.mode`, mode => (mode === 'nftables' || mode === 'ipvs' ? mode : undefined)],
  ['hostnameOverride', 'kubernetes.nodeName', text],
  ['clientConnection.kubeconfig', 'kubernetes.kubeconfig', text],
  ['nodePortAddresses', `${PROXY}.nodePortAddresses`, list],
  ['healthzBindAddress', `${PROXY}.healthAddress`, addressOf],
  ['healthzBindAddress', `${PROXY}.healthPort`, portOf],
  ['metricsBindAddress', 'kubernetes.metrics.address', addressOf],
  ['metricsBindAddress', 'kubernetes.metrics.port', portOf],
  ['ipvs.scheduler', `${PROXY}.ipvs.scheduler`, text],
  ['ipvs.strictARP', `${PROXY}.ipvs.strictArp`],
  ['ipvs.excludeCIDRs', `${PROXY}.ipvs.excludedCidrs`, list],
  ['ipvs.tcpTimeout', `${PROXY}.ipvs.tcpTimeout`, seconds],
  ['ipvs.tcpFinTimeout', `${PROXY}.ipvs.tcpFinTimeout`, seconds],
  ['ipvs.udpTimeout', `${PROXY}.ipvs.udpTimeout`, seconds],
  ['conntrack.maxPerCore', `${PROXY}.conntrack.maxPerCore`],
  ['conntrack.min', `${PROXY}.conntrack.min`],
  ['conntrack.tcpEstablishedTimeout', `${PROXY}.conntrack.tcpEstablishedTimeout`, seconds],
  ['conntrack.tcpCloseWaitTimeout', `${PROXY}.conntrack.tcpCloseWaitTimeout`, seconds],
  ['conntrack.tcpBeLiberal', `${PROXY}.conntrack.tcpBeLiberal`],
  ['conntrack.udpTimeout', `${PROXY}.conntrack.udpTimeout`, seconds],
  ['conntrack.udpStreamTimeout', `${PROXY}.conntrack.udpStreamTimeout`, seconds],
];

/** What kube-proxy takes where its file is silent: whoever swaps it for us keeps these limits. */
const CONNTRACK_DEFAULTS: Settings = {
  maxPerCore: 32_768,
  min: 131_072,
  tcpEstablishedTimeout: '24h0m0s',
  tcpCloseWaitTimeout: '1h0m0s',
};

/** Each mode has its own copy of these; the one in force counts. */
const OF_MODE: readonly Row[] = [
  ['masqueradeAll', `${PROXY}.masqueradeAll`],
  ['masqueradeBit', `${PROXY}.masqueradeBit`],
];

/** How pods are told, by detectLocalMode. */
const OF_LOCAL: Readonly<Record<string, Row>> = {
  ClusterCIDR: ['clusterCIDR', `${PROXY}.pods.cidrs`, value => list(String(value).split(','))],
  BridgeInterface: ['detectLocal.bridgeInterface', `${PROXY}.pods.link`, text],
  InterfaceNamePrefix: ['detectLocal.interfaceNamePrefix', `${PROXY}.pods.linkPrefix`, text],
};

/** @returns settings of our own shape with what the file says wherever they say nothing, or what is wrong with the file */
export function withKubeProxyFile(settings: unknown, content: string): Result<unknown, string> {
  let document: unknown;
  try {
    document = parse(content);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
  if (!isSettings(document) || document['kind'] !== 'KubeProxyConfiguration')
    return err('is no KubeProxyConfiguration');
  const rows = [...ROWS, ...modeRows(document), ...localRows(document)];
  const whole = withConntrackDefaults(document);
  return ok(rows.reduce((result, row) => withRow(result, whole, row), settings));
}

function withConntrackDefaults(document: Settings): Settings {
  const given = isSettings(document['conntrack']) ? document['conntrack'] : {};
  const said = Object.entries(given).filter(([, value]) => value !== null);
  return { ...document, conntrack: { ...CONNTRACK_DEFAULTS, ...Object.fromEntries(said) } };
}

function withRow(settings: unknown, document: Settings, [from, to, read = value => value]: Row): unknown {
  const value = valueAt(document, from);
  if (value === undefined || value === null || valueAt(settings, to) !== undefined) return settings;
  const own = read(value);
  return own === undefined ? settings : withValue(settings, to, own);
}

function modeRows({ mode }: Settings): readonly Row[] {
  const section = mode === 'ipvs' || mode === 'nftables' ? mode : 'iptables';
  // The IPVS mode takes the masquerade settings of iptables.
  const holder = section === 'ipvs' ? 'iptables' : section;
  return OF_MODE.map(([from, to, read]) =>
    read === undefined ? [`${holder}.${from}`, to] : [`${holder}.${from}`, to, read],
  );
}

function localRows({ detectLocalMode, clusterCIDR }: Settings): readonly Row[] {
  const mode = typeof detectLocalMode === 'string' && detectLocalMode !== '' ? detectLocalMode : 'ClusterCIDR';
  const row = OF_LOCAL[mode];
  return row === undefined || (mode === 'ClusterCIDR' && clusterCIDR === '') ? [] : [row];
}

function text(value: unknown): unknown {
  return value === '' ? undefined : value;
}

function list(value: unknown): unknown {
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}

/** @returns seconds; a text that is no duration is left for the schema to complain about */
function seconds(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const parsed = parseDuration(value);
  return parsed.ok ? parsed.value : value;
}

/** Of `0.0.0.0:10256`, which is everywhere, or `[::1]:10256`, or an address alone. */
function addressOf(value: unknown): unknown {
  const address = bindParts(value)?.address;
  return address === '0.0.0.0' || address === '::' ? '' : address;
}

function portOf(value: unknown): unknown {
  return bindParts(value)?.port;
}

function bindParts(value: unknown): { readonly address: string; readonly port: number | undefined } | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  const [, six, four, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(value) ?? [];
  return port === undefined ? { address: value, port: undefined } : { address: six ?? four ?? '', port: Number(port) };
}
