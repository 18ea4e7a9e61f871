/**
 * The real API server with a whole cluster in it, on one host of a topology. Impure.
 *
 * etcd is filled before the server starts, and nothing else runs: controllers would make the cluster another one.
 */

import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { waitFor } from '../../lab/topology/commands.js';
import type { Program, Topology } from '../../lab/topology/topology.js';
import type { ClusterSize } from './cluster.js';

/** Made by scripts/buildKube.sh. */
export const CONTROL_PLANE = resolve('.cache/kube/control-plane');
/** Made by bench/kube/etcd/build.sh: the distribution's may be too old for streamed lists. */
const NEW_ETCD = resolve('.cache/kube/etcd');
const SEED = fileURLToPath(new URL('seed.js', import.meta.url));
const PORT = 6443;
const TOKEN = 'bench-token';
/** Milliseconds that filling etcd, and then the server's start, may take on a busy machine. */
const PATIENCE = 300_000;

export interface RealServer {
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly url: string;
  /** Ends it, and starts it with so much forgotten that every client has to list anew. */
  restart(): Promise<void>;
}

/** @param address IPv4 address that the host has already @throws Error when the program was not built */
export async function startRealServer(
  topology: Topology,
  host: string,
  address: string,
  size: ClusterSize,
): Promise<RealServer> {
  if (!existsSync(CONTROL_PLANE))
    throw new Error('the Kubernetes control plane is not built: run scripts/buildKube.sh, which needs Go and etcd');
  const folder = join(topology.folder, 'kube');
  mkdirSync(folder, { recursive: true });
  const etcd = startEtcd(topology, host, address, folder);
  await waitFor('etcd', PATIENCE, () => /serving (insecure )?client/.test(etcd.log()) || undefined);
  const { nodes, services, pods } = size;
  const args = [SEED, `http://${address}:2379`, String(nodes), String(services), String(pods)];
  const seeded = await topology.exec(host, process.execPath, args, PATIENCE);
  if (seeded.code !== 0) throw new Error(`etcd could not be filled: ${seeded.stderr}`);
  const url = `https://${address}:${PORT}`;
  const start = async (): Promise<Program> => {
    const program = startServer(topology, host, address, folder);
    await waitFor('the API server', PATIENCE, async () => {
      if (!program.running()) throw new Error(`it has ended: ${program.log().slice(-500)}`);
      const certificate = join(folder, 'certs', 'apiserver.crt');
      const ask = await topology.exec(host, 'curl', ['-sf', '--cacert', certificate, '-H', BEARER, `${url}/readyz`]);
      return ask.code === 0 ? true : undefined;
    });
    return program;
  };
  writeSecrets(folder);
  let program = await start();
  const restart = async (): Promise<void> => {
    await program.end('SIGKILL');
    // What was written while nobody watched is what the new server cannot tell.
    const put = JSON.stringify({ key: base64('/bench'), value: base64('x') });
    await topology.exec(host, 'curl', ['-sf', '-d', put, `http://${address}:2379/v3/kv/put`]);
    program = await start();
  };
  return { kubeconfig: writeConfig(folder, url), url, restart };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

const BEARER = `Authorization: Bearer ${TOKEN}`;

function startEtcd(topology: Topology, host: string, address: string, folder: string): Program {
  return topology.start(host, 'etcd', existsSync(NEW_ETCD) ? NEW_ETCD : 'etcd', [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=http://${address}:2379`,
    `--advertise-client-urls=http://${address}:2379`,
    `--listen-peer-urls=http://${address}:2380`,
    `--initial-advertise-peer-urls=http://${address}:2380`,
    `--initial-cluster=default=http://${address}:2380`,
    `--quota-backend-bytes=${8 * 2 ** 30}`,
    '--unsafe-no-fsync',
  ]);
}

function writeSecrets(folder: string): void {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  writeFileSync(join(folder, 'sa.key'), privateKey, { mode: 0o600 });
  writeFileSync(join(folder, 'tokens.csv'), `${TOKEN},admin,admin,"system:masters"\n`, { mode: 0o600 });
}

function startServer(topology: Topology, host: string, address: string, folder: string): Program {
  return topology.start(host, 'kube-apiserver', CONTROL_PLANE, [
    'kube-apiserver',
    `--etcd-servers=http://${address}:2379`,
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--secure-port=${PORT}`,
    `--cert-dir=${join(folder, 'certs')}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    '--service-account-issuer=https://kubernetes.test',
    `--service-account-key-file=${join(folder, 'sa.key')}`,
    `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--endpoint-reconciler-type=none',
    '--v=0',
  ]);
}

function writeConfig(folder: string, url: string): string {
  const file = join(folder, 'admin.yaml');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'bench', cluster: { server: url, 'certificate-authority': join(folder, 'certs', 'apiserver.crt') } },
    ],
    users: [{ name: 'bench', user: { token: TOKEN } }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    'current-context': 'bench',
  };
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}
