/** Asks the node's container runtime for the pods' sandboxes: CRI over gRPC on its unix socket. Impure. */

import { existsSync } from 'node:fs';
import { Client, credentials } from '@grpc/grpc-js';
import {
  decodeList,
  decodeStatus,
  LIST_SANDBOXES,
  listRequest,
  SANDBOX_STATUS,
  statusRequest,
  type Sandbox,
} from './criMessages.js';

export interface ContainerRuntime {
  /** Ids of the sandboxes that are ready. */
  list(): Promise<readonly string[]>;
  /** @returns undefined when there is none of this id any more */
  sandbox(id: string): Promise<Sandbox | undefined>;
  close(): void;
}

/** Where runtimes listen unless they are told otherwise: containerd, CRI-O, k3s, cri-dockerd. */
const SOCKETS = [
  '/run/containerd/containerd.sock',
  '/run/crio/crio.sock',
  '/run/k3s/containerd/containerd.sock',
  '/run/cri-dockerd.sock',
];
/** Milliseconds for one answer. */
const PATIENCE = 10_000;
/** status.NOT_FOUND of gRPC. */
const NOT_FOUND = 5;

/**
 * Connects when it is first asked.
 * @param endpoint a path, or `unix://PATH`; undefined: the first of the usual places that is there
 * @returns why there is no runtime to ask
 */
export function openContainerRuntime(endpoint: string | undefined): ContainerRuntime | string {
  const path = endpoint?.replace(/^unix:(\/\/)?/, '') ?? SOCKETS.find(place => existsSync(place));
  if (path === undefined) return `no container runtime listens on ${SOCKETS.join(', ')}: name its socket`;
  if (!existsSync(path)) return `there is no socket ${path}`;
  const client = new Client(`unix:${path}`, credentials.createInsecure());
  return {
    list: async () => decodeList(await call(client, LIST_SANDBOXES, listRequest())),
    sandbox: async id => {
      try {
        return decodeStatus(id, await call(client, SANDBOX_STATUS, statusRequest(id)));
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === NOT_FOUND) return undefined;
        throw error;
      }
    },
    close: () => client.close(),
  };
}

function call(client: Client, method: string, request: Buffer): Promise<Buffer> {
  const same = (octets: Buffer): Buffer => octets;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(method, same, same, request, { deadline: Date.now() + PATIENCE }, (error, answer) => {
      if (error !== null) reject(error);
      else if (answer === undefined) reject(new Error(`${method}: no answer`));
      else resolve(answer);
    });
  });
}
