/** A server that speaks protocol buffers, as kube-apiserver does: every kind over lists, and a watch. */

import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { firstValueFrom, filter, timeout } from 'rxjs';
import { z } from 'zod';
import type { ApiConnection } from '../../../../src/kube/client/apiConnection.js';
import { apiServerObjects } from '../../../../src/kube/client/apiServer.js';
import { answerStatus, FakeApiServer } from './fakeApiServer.js';

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const WAIT = 60_000;

const Kind = z.enum(['Node', 'Namespace', 'Service', 'EndpointSlice', 'Pod', 'NetworkPolicy', 'ServiceCIDR']);
const golden = z
  .object({
    lists: z.array(z.object({ kind: Kind, protobuf: z.base64() })),
    watch: z.object({ protobuf: z.base64() }),
    status: z.base64(),
  })
  .parse(JSON.parse(readFileSync(new URL('../protobuf/golden.json', import.meta.url), 'utf8')));

let server: FakeApiServer;
let connection: ApiConnection;

beforeEach(async () => {
  server = await FakeApiServer.start();
  connection = server.connect();
});
afterEach(async () => {
  connection.close();
  await server.stop();
});

test.each(Kind.options)(
  '%s: a page of a list',
  async kind => {
    const { protobuf } = golden.lists.find(list => list.kind === kind) ?? { protobuf: '' };
    const told = firstValueFrom(apiServerObjects({ connection, kinds: [kind] }).pipe(timeout(WAIT)));
    answerStatus(await server.next(), 400, 'no streamed lists here');
    const asked = await server.next();
    expect(asked.headers.accept).toMatch(new RegExp(`^${PROTOBUF}`));
    asked.response.writeHead(200, { 'content-type': PROTOBUF }).end(Buffer.from(protobuf, 'base64'));
    const { batch, problems } = await told;
    expect([...batch.changes.values()].map(({ change, object }) => [change, object.kind])).toEqual([['added', kind]]);
    expect([...batch.changes.keys()][0]).toMatch(/golden$/);
    expect([...problems.values()].flat()).toEqual([]);
  },
  WAIT,
);

test(
  'a watch, in parts',
  async () => {
    const events = apiServerObjects({ connection, kinds: ['Namespace'] });
    const told = firstValueFrom(
      events.pipe(
        filter(({ batch }) => batch.changes.size > 0),
        timeout(WAIT),
      ),
    );
    const { response } = await server.next();
    const octets = Buffer.from(golden.watch.protobuf, 'base64');
    response.writeHead(200, { 'content-type': `${PROTOBUF};stream=watch` });
    response.write(octets.subarray(0, 300));
    response.write(octets.subarray(300));
    expect([...(await told).batch.changes.keys()]).toEqual(['Namespace/golden']);
  },
  WAIT,
);

test(
  'a refusal is told in the words of the server',
  async () => {
    const events = apiServerObjects({ connection, kinds: ['Namespace'] });
    const told = firstValueFrom(
      events.pipe(
        filter(({ problems }) => problems.size > 0),
        timeout(WAIT),
      ),
    );
    const asked = await server.next();
    asked.response.writeHead(403, { 'content-type': PROTOBUF }).end(Buffer.from(golden.status, 'base64'));
    const [problem] = [...(await told).problems.values()].flat();
    expect(problem?.text).toMatch(/403: invalid continue token/);
  },
  WAIT,
);
