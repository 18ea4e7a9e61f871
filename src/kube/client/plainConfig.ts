/**
 * The API server and its credentials where they are plain: the service account of our own pod, or a kubeconfig file with
 * certificates or a token. Impure.
 *
 * That is what nodes have. What needs more (programs to run, identity providers, proxies) is for the library, which takes
 * seventy megabytes of memory and half a second to load.
 */

import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { ApiCredentials } from './apiConnection.js';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What is written into a file, or in base64 beside its name. */
const Cluster = z.strictObject({
  server: z.string(),
  'certificate-authority': z.string().optional(),
  'certificate-authority-data': z.base64().optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': z.string().optional(),
});
const User = z.strictObject({
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  'client-certificate': z.string().optional(),
  'client-certificate-data': z.base64().optional(),
  'client-key': z.string().optional(),
  'client-key-data': z.base64().optional(),
});
const Config = z.object({
  'current-context': z.string(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(z.object({ name: z.string(), cluster: z.unknown() })),
  users: z.array(z.object({ name: z.string(), user: z.unknown() })),
});

/** Where the pieces are; read anew for each connection, since tokens and certificates change while we run. */
interface Pieces {
  readonly ca?: Piece | undefined;
  readonly cert?: Piece | undefined;
  readonly key?: Piece | undefined;
  readonly token?: Piece | undefined;
  readonly insecure?: boolean | undefined;
  readonly serverName?: string | undefined;
}

type Piece = { readonly file: string } | { readonly value: Buffer };

/** @param folder of the service account; for tests */
export function accountCredentials(env: NodeJS.ProcessEnv, folder = ACCOUNT): ApiCredentials | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || port === undefined) return undefined;
  const pieces = { ca: { file: `${folder}/ca.crt` }, token: { file: `${folder}/token` } };
  return credentials(`https://${host.includes(':') ? `[${host}]` : host}:${port}`, pieces);
}

/**
 * @returns undefined: the file says more than is understood here
 * @throws Error when the file cannot be read
 */
export async function plainCredentials(file: string): Promise<ApiCredentials | undefined> {
  const config = Config.safeParse(parse(await readFile(file, 'utf8')));
  if (!config.success) return undefined;
  const { contexts, clusters, users, 'current-context': current } = config.data;
  const context = contexts.find(({ name }) => name === current)?.context;
  const cluster = Cluster.safeParse(clusters.find(({ name }) => name === context?.cluster)?.cluster);
  const user = User.safeParse(users.find(({ name }) => name === context?.user)?.user);
  if (!cluster.success || !user.success) return undefined;
  const piece = (path?: string, data?: string): Piece | undefined => {
    if (data !== undefined) return { value: Buffer.from(data, 'base64') };
    return path === undefined ? undefined : { file: resolve(dirname(file), path) };
  };
  const { token } = user.data;
  return credentials(cluster.data.server, {
    ca: piece(cluster.data['certificate-authority'], cluster.data['certificate-authority-data']),
    cert: piece(user.data['client-certificate'], user.data['client-certificate-data']),
    key: piece(user.data['client-key'], user.data['client-key-data']),
    // A file goes before, as in client-go: it is the one that is renewed.
    token: piece(user.data.tokenFile) ?? (token === undefined ? undefined : { value: Buffer.from(token) }),
    insecure: cluster.data['insecure-skip-tls-verify'],
    serverName: cluster.data['tls-server-name'],
  });
}

function credentials(server: string, { ca, cert, key, token, insecure, serverName }: Pieces): ApiCredentials {
  const read = async (piece: Piece | undefined): Promise<Buffer | undefined> =>
    piece === undefined ? undefined : 'value' in piece ? piece.value : readFile(piece.file);
  const apply = async (options: RequestOptions): Promise<void> => {
    const [caText, certText, keyText, tokenText] = await Promise.all([read(ca), read(cert), read(key), read(token)]);
    Object.assign(options, defined({ ca: caText, cert: certText, key: keyText, servername: serverName }));
    if (insecure === true) options.rejectUnauthorized = false;
    if (tokenText !== undefined)
      options.headers = Object.assign({}, options.headers, { authorization: `Bearer ${tokenText.toString().trim()}` });
  };
  return { server, proxied: false, apply };
}

function defined(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
