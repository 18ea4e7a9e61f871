/**
 * The fields we use of the kinds we read, with their numbers (k8s.io/api and k8s.io/apimachinery, generated.proto). A field
 * that a schema in objectSchemas.ts reads and that is missing here would be lost: the test against JSON finds it.
 */

import type { Kind } from '../objectTypes.js';
import { each, message, type Message } from './reader.js';

/** Names are those of the JSON. */
const objectMeta = message({
  name: [1, 'text'],
  namespace: [3, 'word'],
  uid: [5, 'text'],
  resourceVersion: [6, 'text'],
  creationTimestamp: [8, 'time'],
  deletionTimestamp: [9, 'time'],
  labels: [11, 'map'],
  annotations: [12, 'map'],
});

const node = message({
  metadata: [1, objectMeta],
  spec: [
    2,
    message({
      podCIDR: [1, 'text'],
      unschedulable: [4, 'boolean'],
      taints: [5, each(message({ key: [1, 'word'] }))],
      podCIDRs: [7, each('text')],
    }),
  ],
  status: [
    3,
    message({
      conditions: [4, each(message({ type: [1, 'word'], status: [2, 'word'] }))],
      addresses: [5, each(message({ type: [1, 'word'], address: [2, 'text'] }))],
    }),
  ],
});

const servicePort = message({ name: [1, 'word'], protocol: [2, 'word'], port: [3, 'number'], nodePort: [5, 'number'] });
const ingress = message({ ip: [1, 'text'], ipMode: [3, 'word'] });
const clientIp = message({ clientIP: [1, message({ timeoutSeconds: [1, 'number'] })] });

const service = message({
  metadata: [1, objectMeta],
  spec: [
    2,
    message({
      ports: [1, each(servicePort)],
      clusterIP: [3, 'text'],
      type: [4, 'word'],
      externalIPs: [5, each('text')],
      sessionAffinity: [7, 'word'],
      loadBalancerIP: [8, 'text'],
      loadBalancerSourceRanges: [9, each('text')],
      externalTrafficPolicy: [11, 'word'],
      healthCheckNodePort: [12, 'number'],
      sessionAffinityConfig: [14, clientIp],
      clusterIPs: [18, each('text')],
      loadBalancerClass: [21, 'word'],
      internalTrafficPolicy: [22, 'word'],
    }),
  ],
  status: [3, message({ loadBalancer: [1, message({ ingress: [1, each(ingress)] })] })],
});

const name = message({ name: [1, 'word'] });
const endpoint = message({
  addresses: [1, each('text')],
  conditions: [2, message({ ready: [1, 'boolean'], serving: [2, 'boolean'], terminating: [3, 'boolean'] })],
  nodeName: [6, 'word'],
  hints: [8, message({ forZones: [1, each(name)], forNodes: [2, each(name)] })],
});

const endpointSlice = message({
  metadata: [1, objectMeta],
  endpoints: [2, each(endpoint)],
  ports: [3, each(message({ name: [1, 'word'], protocol: [2, 'word'], port: [3, 'number'] }))],
  addressType: [4, 'word'],
});

const containerPort = message({ name: [1, 'word'], containerPort: [3, 'number'], protocol: [4, 'word'] });

const pod = message({
  metadata: [1, objectMeta],
  spec: [
    2,
    message({
      containers: [2, each(message({ ports: [6, each(containerPort)] }))],
      nodeName: [10, 'word'],
      hostNetwork: [11, 'boolean'],
    }),
  ],
  status: [3, message({ phase: [1, 'word'], podIP: [6, 'text'], podIPs: [12, each(message({ ip: [1, 'text'] }))] })],
});

const requirement = message({ key: [1, 'word'], operator: [2, 'word'], values: [3, each('word')] });
const selector = message({ matchLabels: [1, 'map'], matchExpressions: [2, each(requirement)] });
const peer = message({
  podSelector: [1, selector],
  namespaceSelector: [2, selector],
  ipBlock: [3, message({ cidr: [1, 'text'], except: [2, each('text')] })],
});
const policyPort = message({ protocol: [1, 'word'], port: [2, 'intOrString'], endPort: [3, 'number'] });

const networkPolicy = message({
  metadata: [1, objectMeta],
  spec: [
    2,
    message({
      podSelector: [1, selector],
      ingress: [2, each(message({ ports: [1, each(policyPort)], from: [2, each(peer)] }))],
      egress: [3, each(message({ ports: [1, each(policyPort)], to: [2, each(peer)] }))],
      policyTypes: [4, each('word')],
    }),
  ],
});

/** A kind without a word about it does not compile. Undefined: custom resources, which are sent as JSON only. */
export const KIND_MESSAGES: { readonly [K in Kind]: Message | undefined } = {
  Node: node,
  Namespace: message({ metadata: [1, objectMeta] }),
  Service: service,
  EndpointSlice: endpointSlice,
  Pod: pod,
  NetworkPolicy: networkPolicy,
  ClusterNetworkPolicy: undefined,
  ServiceCIDR: message({ metadata: [1, objectMeta], spec: [2, message({ cidrs: [1, each('text')] })] }),
};

/** meta/v1 ListMeta. */
export const LIST_METADATA = message({ resourceVersion: [2, 'text'], continue: [3, 'text'] });
/** meta/v1 Status. */
export const STATUS = message({ message: [3, 'text'], code: [6, 'number'] });
/** meta/v1 WatchEvent, without its object. */
export const WATCH_TYPE = message({ type: [1, 'word'] });
