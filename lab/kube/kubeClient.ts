/** Requests to an API server in another network namespace, as an administrator makes them. Impure. */

import { request as httpsRequest } from 'node:https';
import { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { inNamespace } from '../topology/inNamespace.js';
import { openTcpSocket } from '../../src/kernel/socketOptions.js';

/** A Kubernetes object, as far as requests need to know it. */
export interface KubeManifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

/** Path segment and whether it is in a namespace, by kind. */
const RESOURCES: Readonly<Record<string, readonly [plural: string, namespaced: boolean]>> = {
  Node: ['nodes', false],
  Namespace: ['namespaces', false],
  Service: ['services', true],
  Pod: ['pods', true],
  ConfigMap: ['configmaps', true],
  Secret: ['secrets', true],
  ServiceAccount: ['serviceaccounts', true],
  EndpointSlice: ['endpointslices', true],
  DaemonSet: ['daemonsets', true],
  Deployment: ['deployments', true],
  Role: ['roles', true],
  RoleBinding: ['rolebindings', true],
  ClusterRole: ['clusterroles', false],
  ClusterRoleBinding: ['clusterrolebindings', false],
  Lease: ['leases', true],
  NetworkPolicy: ['networkpolicies', true],
};

const MERGE = 'application/merge-patch+json';
/** Milliseconds that one request may take. */
const PATIENCE = 60_000;

export class KubeClient {
  constructor(
    private readonly namespace: string,
    private readonly server: { readonly host: string; readonly port: number; readonly ca: () => Buffer },
    private readonly token: string,
  ) {}

  /** A request whose answer may be a refusal. @throws Error when there is no answer */
  async ask(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<Reply> {
    const { host, port } = this.server;
    const fd = inNamespace(this.namespace, () => openTcpSocket(4));
    const socket = new Socket({ fd });
    socket.connect({ host, port });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      const request = httpsRequest(
        {
          method,
          path,
          headers: {
            authorization: `Bearer ${this.token}`,
            accept: 'application/json',
            ...(body === undefined ? {} : { 'content-type': contentType }),
          },
          timeout: PATIENCE,
          createConnection: () => tlsConnect({ socket, ca: this.server.ca(), host }),
        },
        response => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString();
            resolve({ status: response.statusCode ?? 0, body: text.startsWith('{') ? JSON.parse(text) : text });
          });
          response.on('error', reject);
        },
      );
      request.once('timeout', () => request.destroy(new Error(`${method} ${path}: no answer`)));
      request.once('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Server-side apply with strict validation; what has a `status` has it set too. @throws Error with the refusal */
  async apply(object: KubeManifest): Promise<void> {
    const { status, ...rest } = object;
    const query = 'fieldManager=test&force=true&fieldValidation=Strict';
    await this.patch(`${pathOf(object)}?${query}`, rest, 'application/apply-patch+yaml');
    // Server-side apply takes addresses of a node for a map by their type, and dual stack for a mistake.
    if (status !== undefined) await this.patch(`${pathOf(object)}/status`, { status }, MERGE);
  }

  async delete(object: KubeManifest): Promise<void> {
    // Pods have no kubelet here that would end their grace.
    const { status, body } = await this.ask('DELETE', `${pathOf(object)}?gracePeriodSeconds=0`);
    if (status >= 300 && status !== 404)
      throw new Error(`deleting ${object.kind} ${object.metadata.name}: ${said(body)}`);
  }

  /** A JSON merge patch: fields that are null are removed. */
  merge(object: KubeManifest, patch: unknown): Promise<void> {
    return this.patch(pathOf(object), patch, MERGE);
  }

  private async patch(path: string, patch: unknown, contentType: string): Promise<void> {
    const { status, body } = await this.ask('PATCH', path, patch, contentType);
    if (status >= 300) throw new Error(`patching ${path}: ${said(body)}`);
  }
}

/** @throws Error for a kind that is not in the table */
export function pathOf({ apiVersion, kind, metadata }: KubeManifest): string {
  const resource = RESOURCES[kind];
  if (resource === undefined) throw new Error(`no path is known for kind ${kind}`);
  const [plural, namespaced] = resource;
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const inside = namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
  return `${group}${inside}/${plural}/${metadata.name}`;
}

function said(body: unknown): string {
  return typeof body === 'object' && body !== null && 'message' in body ? String(body.message) : JSON.stringify(body);
}
