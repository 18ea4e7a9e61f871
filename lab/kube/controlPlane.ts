/** The real control plane of a cluster on one host of a topology: etcd, kube-apiserver and the EndpointSlice controller. Impure. */

import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { waitFor } from '../topology/commands.js';
import type { Program, Topology } from '../topology/topology.js';
import { KubeClient } from './kubeClient.js';

/** Made by scripts/buildKube.sh. */
export const PROGRAM = resolve('.cache/kube/control-plane');
const PORT = 6443;
const ADMIN = 'admin-token';
/** Milliseconds that the API server may take to become ready, on a busy machine. */
const START_TIME = 180_000;

export interface ControlPlaneOptions {
  /** Program to take for etcd: the distribution's may be too old for streamed lists. Default: `etcd`. */
  readonly etcd?: string;
  /** Called with etcd's address before there is a server, with objects to put straight into it. */
  readonly fill?: (etcdUrl: string) => Promise<void>;
  /** Whether endpoint slices are made from pods. Default true. */
  readonly controllers?: boolean;
  /** Milliseconds that the server may take to become ready. */
  readonly patience?: number;
}

export class ControlPlane {
  readonly admin: KubeClient;
  /** Kubeconfig of an administrator. */
  readonly adminConfig: string;
  readonly url: string;
  private server: Program | undefined;
  private controllers: Program | undefined;

  private constructor(
    private readonly topology: Topology,
    private readonly host: string,
    private readonly address: string,
    private readonly folder: string,
    private readonly options: ControlPlaneOptions,
  ) {
    this.admin = this.clientFor(ADMIN);
    this.adminConfig = join(folder, 'admin.yaml');
    this.url = `https://${address}:${PORT}`;
  }

  /** @param address IPv4 address that the host has already @throws Error when the program was not built */
  static async start(
    topology: Topology,
    host: string,
    address: string,
    options: ControlPlaneOptions = {},
  ): Promise<ControlPlane> {
    if (!existsSync(PROGRAM))
      throw new Error('the Kubernetes control plane is not built: run scripts/buildKube.sh, which needs Go and etcd');
    const folder = join(topology.folder, 'kube');
    mkdirSync(folder, { recursive: true });
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
      publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    writeFileSync(join(folder, 'sa.key'), privateKey, { mode: 0o600 });
    writeFileSync(join(folder, 'tokens.csv'), `${ADMIN},admin,admin,"system:masters"\n`, { mode: 0o600 });
    const plane = new ControlPlane(topology, host, address, folder, options);
    plane.writeConfig(plane.adminConfig, ADMIN);
    // Asked politely, without its etcd, it would take as long as one lets it.
    topology.beforeClose(() => plane.stopServer());
    await plane.startEtcd();
    await plane.restartServer();
    return plane;
  }

  /** Resolves when the server answers and its own objects (roles, namespaces) are there. */
  async ready(): Promise<void> {
    await waitFor('the API server', this.options.patience ?? START_TIME, async () => {
      if (this.server?.running() !== true) throw new Error(`it has ended: ${this.server?.log().slice(-500) ?? ''}`);
      const { status } = await this.admin.ask('GET', '/readyz');
      return status === 200 ? true : undefined;
    });
  }

  /** The server is away: connections are refused. Its controllers end, as they do who lose their lease. */
  async stopServer(): Promise<void> {
    await Promise.all([this.server?.end('SIGKILL'), this.controllers?.end('SIGKILL')]);
  }

  async restartServer(): Promise<void> {
    this.server = this.startServer();
    await this.ready();
    if (this.options.controllers !== false) this.controllers = this.startControllers();
  }

  /** Forgets all but the newest state, so that watches from before end in 410 Gone. */
  async compact(): Promise<void> {
    const url = `--endpoints=http://${this.address}:2379`;
    const status = await this.topology.exec(this.host, 'etcdctl', [url, 'endpoint', 'status', '-w', 'json']);
    const revision = /"revision":(\d+)/.exec(status.stdout)?.[1];
    if (revision === undefined) throw new Error(`etcdctl: ${status.stderr || status.stdout}`);
    const { code, stderr } = await this.topology.exec(this.host, 'etcdctl', [url, 'compact', revision]);
    if (code !== 0) throw new Error(`etcdctl compact: ${stderr}`);
  }

  /** A kubeconfig with a token of this service account, as a pod has. @returns its path */
  async serviceAccountConfig(namespace: string, name: string): Promise<string> {
    const file = join(this.folder, `${namespace}-${name}.yaml`);
    this.writeConfig(file, await this.serviceAccountToken(namespace, name));
    return file;
  }

  async serviceAccount(namespace: string, name: string): Promise<KubeClient> {
    return this.clientFor(await this.serviceAccountToken(namespace, name));
  }

  private async serviceAccountToken(namespace: string, name: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} };
    const { status, body } = await this.admin.ask('POST', path, request);
    const token = (body as { readonly status?: { readonly token?: string } }).status?.token;
    if (status >= 300 || token === undefined)
      throw new Error(`no token for ${namespace}/${name}: ${JSON.stringify(body)}`);
    return token;
  }

  private clientFor(token: string): KubeClient {
    const ca = (): Buffer => readFileSync(join(this.folder, 'certs', 'apiserver.crt'));
    return new KubeClient(this.topology.name(this.host), { host: this.address, port: PORT, ca }, token);
  }

  private writeConfig(file: string, token: string): void {
    const cluster = {
      server: this.url,
      'certificate-authority': join(this.folder, 'certs', 'apiserver.crt'),
    };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'lab', cluster }],
      users: [{ name: 'lab', user: { token } }],
      contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
      'current-context': 'lab',
    };
    writeFileSync(file, stringify(config), { mode: 0o600 });
  }

  /** Once it serves, it is filled. */
  private async startEtcd(): Promise<void> {
    const client = `http://${this.address}:2379`;
    const peer = `http://${this.address}:2380`;
    const etcd = this.topology.start(this.host, 'etcd', this.options.etcd ?? 'etcd', [
      `--data-dir=${join(this.folder, 'etcd')}`,
      `--listen-client-urls=${client}`,
      `--advertise-client-urls=${client}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      `--quota-backend-bytes=${8 * 2 ** 30}`,
      // A test loses nothing when the machine does.
      '--unsafe-no-fsync',
    ]);
    await waitFor('etcd', START_TIME, () => {
      if (!etcd.running()) throw new Error(`it has ended: ${etcd.log().slice(-500)}`);
      return /serving (insecure )?client/.test(etcd.log()) || undefined;
    });
    await this.options.fill?.(client);
  }

  private startServer(): Program {
    return this.topology.start(this.host, 'kube-apiserver', PROGRAM, [
      'kube-apiserver',
      `--etcd-servers=http://${this.address}:2379`,
      `--bind-address=${this.address}`,
      `--advertise-address=${this.address}`,
      `--secure-port=${PORT}`,
      `--cert-dir=${join(this.folder, 'certs')}`,
      '--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112',
      '--service-account-issuer=https://kubernetes.test',
      `--service-account-key-file=${join(this.folder, 'sa.key')}`,
      `--service-account-signing-key-file=${join(this.folder, 'sa.key')}`,
      `--token-auth-file=${join(this.folder, 'tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--allow-privileged=true',
      // Pods here have no service account that somebody would have to make first.
      '--disable-admission-plugins=ServiceAccount',
      '--endpoint-reconciler-type=none',
      '--v=0',
    ]);
  }

  private startControllers(): Program {
    return this.topology.start(this.host, 'kube-controller-manager', PROGRAM, [
      'kube-controller-manager',
      `--kubeconfig=${this.adminConfig}`,
      '--controllers=endpointslice-controller',
      '--leader-elect=false',
      '--secure-port=0',
    ]);
  }
}
