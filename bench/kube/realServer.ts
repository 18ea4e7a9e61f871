/** The real API server with a whole cluster in it, on one host of a topology, and nothing that would change it. Impure. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { ControlPlane } from '../../lab/kube/controlPlane.js';
import type { Topology } from '../../lab/topology/topology.js';

/** Made by bench/kube/etcd/build.sh. */
const NEW_ETCD = resolve('.cache/kube/etcd');
/** Milliseconds that filling etcd, and then the server's start, may take on a busy machine. */
const PATIENCE = 300_000;

export interface RealServer {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly url: string;
  readonly plane: ControlPlane;
  /** Ends it, and starts it with so much forgotten that every client has to list anew. */
  restart(): Promise<void>;
}

/**
 * @param address IPv4 address that the host has already
 * @param seed program for Node that fills etcd, whose address is put before its further arguments
 * @throws Error when the program was not built
 */
export async function startRealServer(
  topology: Topology,
  host: string,
  address: string,
  [seed, ...args]: readonly [string, ...string[]],
): Promise<RealServer> {
  let etcdUrl = '';
  const plane = await ControlPlane.start(topology, host, address, {
    ...(existsSync(NEW_ETCD) ? { etcd: NEW_ETCD } : {}),
    controllers: false,
    patience: PATIENCE,
    fill: async url => {
      etcdUrl = url;
      const { code, stderr } = await topology.exec(host, process.execPath, [seed, url, ...args], PATIENCE);
      if (code !== 0) throw new Error(`etcd could not be filled: ${stderr}`);
    },
  });
  const restart = async (): Promise<void> => {
    await plane.stopServer();
    // What was written while nobody watched is what the new server cannot tell.
    const put = JSON.stringify({ key: base64('/bench'), value: base64('x') });
    await topology.exec(host, 'curl', ['-sf', '-d', put, `${etcdUrl}/v3/kv/put`]);
    await plane.restartServer();
  };
  return { kubeconfig: plane.adminConfig, url: plane.url, plane, restart };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
