/** A cluster as large as one asks for, object by object, in the size and shape an API server sends them. */

/** How many there are of each kind; endpoints are in slices of ten, one slice for each service. */
export interface ClusterSize {
  readonly nodes: number;
  readonly services: number;
  readonly pods: number;
}

export const ENDPOINTS_PER_SLICE = 10;
export const FULL_SIZE: ClusterSize = { nodes: 5000, services: 10_000, pods: 100_000 };

/** Namespaces that everything is spread over. */
export const NAMESPACES = 100;

export function namespaceJson(n: number): string {
  return `{"metadata":${metadataJson(namespaceOf(n), '', undefined, '')},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}`;
}

/** Object `n` of its kind as JSON text, from 0 on. @param version absent: as it is stored */
export function nodeJson(n: number, version?: number): string {
  const cidr = `10.${n >> 8}.${n & 255}.0/24`;
  const address = `172.16.${n >> 8}.${n & 255}`;
  const metadata = metadataJson(`node-${n}`, '', version, `"kubernetes.io/hostname":"node-${n}"`);
  const images = Array.from(
    { length: 20 },
    (_, i) => `{"names":["registry.example/image-${i}@sha256:${HASH}"],"sizeBytes":1}`,
  );
  return `{"metadata":${metadata},"spec":{"podCIDR":"${cidr}","podCIDRs":["${cidr}"],"providerID":"x://${n}"},"status":{"capacity":{"cpu":"32"},"addresses":[{"type":"InternalIP","address":"${address}"},{"type":"Hostname","address":"node-${n}"}],"images":[${images.join()}]}}`;
}

export function serviceJson(n: number, version?: number): string {
  const ip = serviceIp(n);
  return `{"metadata":${metadataJson(`service-${n}`, namespaceOf(n), version, `"app":"a-${n}"`)},"spec":{"type":"ClusterIP","clusterIP":"${ip}","clusterIPs":["${ip}"],"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080},{"name":"grpc","protocol":"TCP","port":9090,"targetPort":9090}],"selector":{"app":"a-${n}"},"sessionAffinity":"None","internalTrafficPolicy":"Cluster","ipFamilies":["IPv4"]},"status":{"loadBalancer":{}}}`;
}

/** @param ready of all its endpoints */
export function sliceJson(n: number, size: ClusterSize, version?: number, ready = true): string {
  const endpoints = Array.from({ length: ENDPOINTS_PER_SLICE }, (_, i) => {
    const pod = (n * ENDPOINTS_PER_SLICE + i) % size.pods;
    return `{"addresses":["${podIp(pod, size)}"],"conditions":{"ready":${ready},"serving":${ready},"terminating":false},"nodeName":"node-${pod % size.nodes}","targetRef":{"kind":"Pod","namespace":"${namespaceOf(n)}","name":"pod-${pod}","uid":"${uid(pod)}"},"zone":"zone-${pod % 3}"}`;
  });
  const labels = `"kubernetes.io/service-name":"service-${n}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"`;
  return `{"metadata":${metadataJson(`service-${n}-abcde`, namespaceOf(n), version, labels)},"addressType":"IPv4","endpoints":[${endpoints.join()}],"ports":[{"name":"http","protocol":"TCP","port":8080},{"name":"grpc","protocol":"TCP","port":9090}]}`;
}

/** The server's note of who has a service's address; without it, it makes all of them at its start. */
export function serviceIpJson(n: number): string {
  const labels = `"ipaddress.kubernetes.io/ip-family":"IPv4","ipaddress.kubernetes.io/managed-by":"ipallocator.k8s.io"`;
  const parent = `{"resource":"services","namespace":"${namespaceOf(n)}","name":"service-${n}"}`;
  return `{"metadata":${metadataJson(serviceIp(n), '', undefined, labels)},"spec":{"parentRef":${parent}}}`;
}

/** A merge patch by which all endpoints of a slice become ready, or cease to be. */
export function sliceChange(
  n: number,
  size: ClusterSize,
  ready: boolean,
): { readonly path: string; readonly body: unknown } {
  const slice = JSON.parse(sliceJson(n, size, undefined, ready)) as {
    readonly metadata: { readonly namespace: string; readonly name: string };
    readonly endpoints: unknown;
  };
  const { namespace, name } = slice.metadata;
  return {
    path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${name}`,
    body: { endpoints: slice.endpoints },
  };
}

export function podJson(n: number, size: ClusterSize, version?: number): string {
  const ip = podIp(n, size);
  const labels = `"app":"a-${n % size.services}","pod-template-hash":"5d4f8c7b9"`;
  return `{"metadata":${metadataJson(`pod-${n}`, namespaceOf(n), version, labels)},"spec":{"nodeName":"node-${n % size.nodes}","containers":[{"name":"main","image":"registry.example/image@sha256:${HASH}","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"},{"name":"grpc","containerPort":9090,"protocol":"TCP"}],"env":[{"name":"A","value":"${HASH}"}],"resources":{"limits":{"cpu":"1","memory":"1Gi"}},"volumeMounts":[{"name":"token","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}],"tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute"}]},"status":{"phase":"Running","podIP":"${ip}","podIPs":[{"ip":"${ip}"}],"hostIP":"172.16.0.1","conditions":[{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"}],"containerStatuses":[{"name":"main","ready":true,"image":"registry.example/image","containerID":"containerd://${HASH}"}]}}`;
}

const HASH = '0123456789abcdef'.repeat(4);
/** What servers keep for themselves, and send to everybody: about as much again as the object. */
const MANAGED = JSON.stringify([
  {
    manager: 'kube-controller-manager',
    operation: 'Update',
    apiVersion: 'v1',
    time: '2026-01-01T00:00:00Z',
    fieldsType: 'FieldsV1',
    fieldsV1: Object.fromEntries(Array.from({ length: 24 }, (_, i) => [`f:field-${i}`, { '.': {}, 'f:value': {} }])),
  },
]);

function metadataJson(name: string, namespace: string, version: number | undefined, labels: string): string {
  const versioned = version === undefined ? '' : `"resourceVersion":"${version}",`;
  const place = namespace === '' ? '' : `"namespace":"${namespace}",`;
  return `{"name":"${name}",${place}"uid":"${uid(name.length * 7919)}",${versioned}"creationTimestamp":"2026-01-01T00:00:00Z","labels":{${labels}},"managedFields":${MANAGED}}`;
}

function uid(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

function namespaceOf(n: number): string {
  return `team-${n % NAMESPACES}`;
}

/** The first few are the server's own. */
function serviceIp(n: number): string {
  return `10.96.${(n + 16) >> 8}.${(n + 16) & 255}`;
}

/** Of its node's network. */
function podIp(n: number, { nodes }: ClusterSize): string {
  const node = n % nodes;
  return `10.${node >> 8}.${node & 255}.${1 + Math.floor(n / nodes)}`;
}
