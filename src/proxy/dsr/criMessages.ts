/**
 * The few messages of the container runtime interface that we need (k8s.io/cri-api, runtime/v1/api.proto), as protocol
 * buffers. Pure.
 */

import { decode, each, message } from '../../kube/protobuf/reader.js';

/** Names of the methods, as gRPC has them. */
export const LIST_SANDBOXES = '/runtime.v1.RuntimeService/ListPodSandbox';
export const SANDBOX_STATUS = '/runtime.v1.RuntimeService/PodSandboxStatus';

/** A pod's sandbox: what its containers share, such as the network namespace. */
export interface Sandbox {
  readonly id: string;
  /** Of the pod, as texts. */
  readonly addresses: readonly string[];
  /** Where its network namespace may be found, the better place first; empty: it is the node's own. */
  readonly namespaces: readonly string[];
}

/** Wire types of protocol buffers that are needed: a field's key is `number << 3 | type`. */
const [VARINT, OCTETS] = [0, 2];

/** Sandboxes that are ready: `filter { state { state: SANDBOX_READY } }`, of which the inner value is 0 and not written. */
export function listRequest(): Buffer {
  const filter = field(2, Buffer.alloc(0));
  return field(1, filter);
}

/** With what else the runtime tells, in which the namespace is. */
export function statusRequest(id: string): Buffer {
  return Buffer.concat([field(1, Buffer.from(id)), Buffer.from([(2 << 3) | VARINT, 1])]);
}

function field(number: number, octets: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | OCTETS, ...varint(octets.length)]), octets]);
}

function varint(value: number): readonly number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

const LIST = message({ items: [1, each(message({ id: [1, 'text'], state: [3, 'number'] }))] });
const STATUS = message({
  status: [
    1,
    message({
      id: [1, 'text'],
      network: [5, message({ ip: [1, 'text'], additionalIps: [2, each(message({ ip: [1, 'text'] }))] })],
      linux: [6, message({ namespaces: [1, message({ options: [2, message({ network: [1, 'number'] })] })] })],
    }),
  ],
  info: [2, 'map'],
});

/** NamespaceMode NODE: the pod has the node's network. */
const NODE_NETWORK = 2;

/** @returns ids; those that are not ready, which an old runtime may tell all the same, are left out */
export function decodeList(octets: Buffer): readonly string[] {
  return listAt(decode(octets, LIST), 'items').flatMap(item => {
    const id = textAt(item, 'id');
    return id === undefined || numberAt(item, 'state') > 0 ? [] : [id];
  });
}

/** @throws WireError when the octets are no message */
export function decodeStatus(id: string, octets: Buffer): Sandbox {
  const answer = decode(octets, STATUS);
  const status = at(answer, 'status');
  const network = at(status, 'network');
  const more = listAt(network, 'additionalIps').map(item => textAt(item, 'ip'));
  const isNode = numberAt(at(at(at(status, 'linux'), 'namespaces'), 'options'), 'network') === NODE_NETWORK;
  return {
    id,
    addresses: [textAt(network, 'ip'), ...more].filter(text => text !== undefined),
    namespaces: isNode ? [] : namespacesOf(textAt(at(answer, 'info'), 'info')),
  };
}

/**
 * containerd and CRI-O tell the process of the sandbox and the runtime's own description of it, as JSON; runtimes that run no
 * process for it tell the description alone.
 */
function namespacesOf(info: string | undefined): readonly string[] {
  const told = parsed(info);
  const namespaces = listAt(at(at(told, 'runtimeSpec'), 'linux'), 'namespaces');
  const path = namespaces.find(one => textAt(one, 'type') === 'network');
  const pid = numberAt(told, 'pid');
  return [textAt(path, 'path'), pid > 0 ? `/proc/${pid}/ns/net` : undefined].filter(place => place !== undefined);
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

function at(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function listAt(value: unknown, name: string): readonly unknown[] {
  const found = at(value, name);
  return Array.isArray(found) ? found : [];
}

function textAt(value: unknown, name: string): string | undefined {
  const found = at(value, name);
  return typeof found === 'string' && found !== '' ? found : undefined;
}

function numberAt(value: unknown, name: string): number {
  const found = at(value, name);
  return typeof found === 'number' ? found : 0;
}
