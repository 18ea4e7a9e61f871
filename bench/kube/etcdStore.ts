/** Objects straight into etcd, as the API server would have stored them. Impure. */

/** Operations in one transaction: etcd's own limit. */
const AT_ONCE = 128;

export interface Stored {
  readonly key: string;
  readonly value: string;
}

/** @param json the object without its kind */
export function typed(apiVersion: string, kind: string, json: string): string {
  return `{"kind":"${kind}","apiVersion":"${apiVersion}",${json.slice(1)}`;
}

/** @returns `namespace/name`, or the name of what is in no namespace */
export function pathIn(json: string): string {
  const { metadata } = JSON.parse(json) as {
    readonly metadata: { readonly name: string; readonly namespace?: string };
  };
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** @throws Error when etcd refuses some */
export async function storeAll(etcd: string, objects: Iterable<Stored>): Promise<void> {
  let batch: Stored[] = [];
  for (const object of objects) {
    batch.push(object);
    if (batch.length < AT_ONCE) continue;
    await store(etcd, batch);
    batch = [];
  }
  if (batch.length > 0) await store(etcd, batch);
}

async function store(etcd: string, batch: readonly Stored[]): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const success = batch.map(({ key, value }) => ({ requestPut: { key: base64(key), value: base64(value) } }));
  const response = await fetch(`${etcd}/v3/kv/txn`, { method: 'POST', body: JSON.stringify({ success }) });
  if (!response.ok) throw new Error(`etcd refused: ${await response.text()}`);
}
