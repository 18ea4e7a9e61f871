/** Namespaces and pods as JSON, for tests of tenants. */

export function namespaceObject(name: string, annotations: Readonly<Record<string, string>> = {}): unknown {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } };
}

export interface PodShape {
  readonly node?: string;
  readonly hostNetwork?: boolean;
  readonly phase?: string;
}

/** @param key `namespace/name` */
export function podObject(
  key: string,
  ips: readonly string[],
  { node = 'n2', hostNetwork, phase = 'Running' }: PodShape = {},
): unknown {
  const [namespace, name] = key.split('/');
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name },
    spec: { nodeName: node, ...(hostNetwork === undefined ? {} : { hostNetwork }) },
    status: { phase, podIPs: ips.map(ip => ({ ip })) },
  };
}
