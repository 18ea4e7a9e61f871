/** Who is where in the worlds of the comparison with kube-proxy: the same addresses on both sides. Pure. */

export type Family = 4 | 6;

/** One host with its address in each family. */
export interface Place {
  readonly 4: string;
  readonly 6: string;
}

export const NODE_NAME = 'node-1';
/** Another node, which has pods but is no object: traffic policy and hints know its name. */
export const OTHER_NODE = 'node-2';
export const [OWN_ZONE, OTHER_ZONE] = ['zone-a', 'zone-b'];

export const NODE: Place = { 4: '10.0.0.2', 6: 'fd00:a::2' };
/** Outside: the node's neighbour, and an address behind it. */
export const OUTSIDE: Place = { 4: '10.0.0.1', 6: 'fd00:a::1' };
export const FAR_OUTSIDE: Place = { 4: '198.51.100.7', 6: 'fd00:b::7' };
/** Another node, as far as packets know it. */
export interface RemoteNode {
  readonly host: 'remote' | 'caller';
  /** Of our node, towards it. */
  readonly near: Place;
  readonly address: Place;
  readonly pods: readonly Place[];
  readonly podPrefix: Place;
}
/** Its pods are endpoints. */
export const REMOTE: RemoteNode = {
  host: 'remote',
  near: { 4: '10.0.1.1', 6: 'fd00:c::1' },
  address: { 4: '10.0.1.2', 6: 'fd00:c::2' },
  pods: [1, 2, 3, 4].map(n => ({ 4: `10.244.2.1${n}`, 6: `fd00:10:244:2::1${n}` })),
  podPrefix: { 4: '10.244.2.0/24', 6: 'fd00:10:244:2::/64' },
};
/** Its pod only asks: an endpoint beside it would answer without passing our node. */
export const CALLER: RemoteNode = {
  host: 'caller',
  near: { 4: '10.0.2.1', 6: 'fd00:d::1' },
  address: { 4: '10.0.2.2', 6: 'fd00:d::2' },
  pods: [{ 4: '10.244.3.11', 6: 'fd00:10:244:3::11' }],
  podPrefix: { 4: '10.244.3.0/24', 6: 'fd00:10:244:3::/64' },
};
/** Of the node, for its pods. */
export const GATEWAY: Place = { 4: '10.244.1.1', 6: 'fd00:10:244:1::1' };

export const LOCAL_PODS: readonly Place[] = [1, 2, 3].map(n => ({
  4: `10.244.1.1${n}`,
  6: `fd00:10:244:1::1${n}`,
}));
export const POD_PREFIXES: Place = { 4: '10.244.0.0/16', 6: 'fd00:10:244::/56' };
export const OWN_POD_PREFIX: Place = { 4: '10.244.1.0/24', 6: 'fd00:10:244:1::/64' };

/** Of the API server; and the networks by which the worlds reach it. */
export const API = '10.99.0.1';
export const SERVICE_PREFIXES: Place = { 4: '10.96.0.0/16', 6: 'fd00:10:96::/112' };
export const EXTERNAL_PREFIXES: Place = { 4: '203.0.113.0/24', 6: '2001:db8:e::/64' };
export const BALANCER_PREFIXES: Place = { 4: '192.0.2.0/24', 6: '2001:db8:b::/64' };

/** Where endpoints listen. */
export const BACKEND_PORTS = [8080, 8081] as const;

/** The n-th address of a range, n below 65536. */
const nth = (prefix4: string, prefix6: string, n: number): Place => ({
  4: `${prefix4}.${n >> 8}.${n & 255}`,
  6: `${prefix6}::${n.toString(16)}`,
});
/** The first few are the server's own. */
export const clusterIp = (n: number): Place => nth('10.96', 'fd00:10:96', 256 + n);
export const nodePort = (n: number): number => 30_000 + n;
export const healthCheckPort = (n: number): number => 32_000 + n;
/** Of these there are few. @param n below 250 */
export const externalIp = (n: number): Place => ({ 4: `203.0.113.${n + 1}`, 6: `2001:db8:e::${(n + 1).toString(16)}` });
export const balancerIp = (n: number): Place => ({ 4: `192.0.2.${n + 1}`, 6: `2001:db8:b::${(n + 1).toString(16)}` });
