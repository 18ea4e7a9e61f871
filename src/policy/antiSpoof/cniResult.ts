/**
 * What libcni keeps of every pod it attached (`/var/lib/cni/results`, one file for each): which link of the node is the
 * pod's, and which addresses it was given. Nothing that a pod sends can change it, unlike what a bridge or a neighbour
 * table learns. Pure. Source: containernetworking/cni libcni/api.go (cniCacheV1) and SPEC.md, "ADD Success".
 */

import { z } from 'zod';
import { formatAddress, parseAddress } from '../../core/ip.js';
import { err, ok, type Result } from '../../core/result.js';
import type { IpText } from '../../kube/objectTypes.js';
import { podName, type PodName } from '../policyTypes.js';

/** One pod's attachment to the network. */
export interface Attachment {
  readonly pod: PodName;
  /** Names of links in the node that belong to it, or that it hangs on (a bridge), in the plugin's order. */
  readonly hostLinks: readonly string[];
  /** Of the pod's own end, in hex with colons; absent where the plugin does not say, or it is none of Ethernet's. */
  readonly lladdr: string | undefined;
  readonly addresses: readonly IpText[];
}

const Interface = z.object({ name: z.string(), mac: z.string().optional(), sandbox: z.string().optional() });
const Cached = z.object({
  kind: z.literal('cniCacheV1'),
  ifName: z.string(),
  cniArgs: z
    .array(z.tuple([z.string(), z.string()]))
    .nullish()
    .transform(args => new Map(args)),
  result: z.object({
    interfaces: z.array(Interface).nullish(),
    ips: z.array(z.object({ address: z.string(), interface: z.number().nullish() })).nullish(),
  }),
});

/** @returns undefined for what is no pod's attachment (a loopback, another kind of file); or why it cannot be read */
export function parseCniResult(text: string): Result<Attachment | undefined, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return err('is no JSON');
  }
  if (typeof json !== 'object' || json === null || !('kind' in json) || json.kind !== 'cniCacheV1')
    return ok(undefined);
  const parsed = Cached.safeParse(json);
  if (!parsed.success) return err(`is no result of a CNI plugin: ${parsed.error.issues[0]?.message ?? ''}`);
  const { ifName, cniArgs, result } = parsed.data;
  const [namespace, name] = [cniArgs.get('K8S_POD_NAMESPACE'), cniArgs.get('K8S_POD_NAME')];
  const interfaces = result.interfaces ?? [];
  const own = interfaces.find(({ sandbox, name: link }) => isInside(sandbox) && link === ifName);
  if (namespace === undefined || name === undefined || own === undefined) return ok(undefined);
  const hostLinks = interfaces.filter(({ sandbox }) => !isInside(sandbox)).map(link => link.name);
  if (hostLinks.length === 0) return ok(undefined);
  const addresses = addressesOf(result.ips ?? []);
  if (!addresses.ok) return addresses;
  const lladdr = own.mac?.toLowerCase();
  const isEthernet = lladdr !== undefined && ETHERNET.test(lladdr);
  return ok({
    pod: podName(namespace, name),
    hostLinks,
    lladdr: isEthernet ? lladdr : undefined,
    addresses: addresses.value,
  });
}

/** Others (InfiniBand's) are of twenty octets, and one of them would be refused together with all that is right. */
const ETHERNET = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

function isInside(sandbox: string | undefined): boolean {
  return sandbox !== undefined && sandbox !== '';
}

function addressesOf(ips: readonly { readonly address: string }[]): Result<readonly IpText[], string> {
  const texts: IpText[] = [];
  for (const { address } of ips) {
    const parsed = parseAddress(address.replace(/\/\d+$/, ''));
    if (!parsed.ok) return parsed;
    texts.push(formatAddress(parsed.value) as IpText);
  }
  return ok(texts);
}
