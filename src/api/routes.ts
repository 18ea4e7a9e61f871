/** The paths of the control API and what they answer: a table, so that docs and tests can go over it. */

import { z } from 'zod';
import { FAMILIES } from '../bgp/families.js';
import { parseAddress, parsePrefix } from '../core/ip.js';
import type {
  Answered,
  ExplainQuestion,
  PoliciesView,
  RouteQuery,
  RouterView,
  ServicesView,
  TenantsView,
} from './view.js';

/** A value, or items that are streamed as an array. */
export type Answer =
  | { readonly status: number; readonly value: unknown }
  | { readonly status: number; readonly items: Iterable<unknown> | AsyncIterable<unknown> };

interface Route {
  readonly method: 'GET' | 'POST';
  /** Segments; `:name` takes any one segment. */
  readonly path: string;
  readonly answer: (view: RouterView, request: RouteRequest) => Answered<Answer>;
}

interface RouteRequest {
  readonly name: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

const Query = z.strictObject({
  family: z.enum(FAMILIES).optional(),
  prefix: z.string().optional(),
  longer: z.enum(['true', 'false']).optional(),
  untold: z.enum(['true', 'false']).optional(),
});
const Explain = z.strictObject({ from: z.string(), to: z.string(), port: z.string() });
const Matrix = z.strictObject({ namespace: z.string().optional(), port: z.string().optional() });
const Drain = z.strictObject({ on: z.boolean() });
const Message = z.strictObject({ message: z.string().max(255).optional() });
const TenantChange = z.strictObject({ change: z.string() });
const Refresh = z.strictObject({ direction: z.enum(['in', 'out']) });

const found = (value: unknown, name: string): Answer => (value === undefined ? noPeer(name) : { status: 200, value });
const listed = (items: Iterable<unknown> | AsyncIterable<unknown> | undefined, name: string): Answer =>
  items === undefined ? noPeer(name) : { status: 200, items };
const done = (known: boolean, name: string): Answer => (known ? { status: 200, value: {} } : noPeer(name));

export const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/v1/summary', answer: async view => ({ status: 200, value: await view.summary() }) },
  { method: 'GET', path: '/v1/peers', answer: async view => ({ status: 200, items: await view.peers() }) },
  { method: 'GET', path: '/v1/peers/:name', answer: async (view, { name }) => found(await view.peer(name), name) },
  {
    method: 'GET',
    path: '/v1/peers/:name/adj-in',
    answer: async (view, r) => listed(await view.adjIn(r.name, routeQuery(r.query)), r.name),
  },
  {
    method: 'GET',
    path: '/v1/peers/:name/adj-out',
    answer: async (view, r) => listed(await view.adjOut(r.name, routeQuery(r.query)), r.name),
  },
  {
    method: 'GET',
    path: '/v1/routes',
    answer: async (view, { query }) => ({ status: 200, items: await view.routes(routeQuery(query)) }),
  },
  {
    method: 'GET',
    path: '/v1/fib',
    answer: (view, { query }) => ({ status: 200, items: view.fib(routeQuery(query)) }),
  },
  { method: 'GET', path: '/v1/problems', answer: async view => ({ status: 200, items: await view.problems() }) },
  {
    method: 'GET',
    path: '/v1/services',
    answer: ({ services }) => (services === undefined ? noProxy() : { status: 200, items: services.frontends() }),
  },
  {
    method: 'GET',
    path: '/v1/services/:name',
    answer: async ({ services }, { name }) => (services === undefined ? noProxy() : serviceAnswer(services, name)),
  },
  {
    method: 'GET',
    path: '/v1/policies',
    answer: ({ policies }) => (policies === undefined ? noFirewall() : { status: 200, items: policies.policies() }),
  },
  {
    method: 'GET',
    path: '/v1/denials',
    answer: ({ policies }) => (policies === undefined ? noFirewall() : { status: 200, items: policies.denials() }),
  },
  {
    method: 'GET',
    path: '/v1/policy/explain',
    answer: ({ policies }, { query }) =>
      policies === undefined ? noFirewall() : explained(policies, parse(Explain, Object.fromEntries(query))),
  },
  {
    method: 'GET',
    path: '/v1/policy/matrix',
    answer: ({ policies }, { query }) => (policies === undefined ? noFirewall() : reached(policies, query)),
  },
  {
    method: 'GET',
    path: '/v1/tenants',
    answer: async ({ tenants }) =>
      tenants === undefined ? noTenants() : { status: 200, items: await tenants.tenants() },
  },
  {
    method: 'POST',
    path: '/v1/tenants/:name',
    answer: async ({ tenants }, { name, body }) =>
      tenants === undefined ? noTenants() : asked(tenants, name, parse(TenantChange, body).change),
  },
  {
    method: 'GET',
    path: '/v1/bandwidth',
    answer: async ({ bandwidth }) =>
      bandwidth === undefined ? noBandwidth() : { status: 200, items: await bandwidth.limits() },
  },
  {
    method: 'GET',
    path: '/v1/egress',
    answer: ({ egress }) => (egress === undefined ? noEgress() : { status: 200, items: egress.addresses() }),
  },
  { method: 'POST', path: '/v1/drain', answer: (view, { body }) => drained(view, parse(Drain, body).on) },
  {
    method: 'POST',
    path: '/v1/peers/:name/disable',
    answer: async (view, { name, body }) => done(await view.disablePeer(name, parse(Message, body).message), name),
  },
  {
    method: 'POST',
    path: '/v1/peers/:name/enable',
    answer: async (view, { name }) => done(await view.enablePeer(name), name),
  },
  {
    method: 'POST',
    path: '/v1/peers/:name/reset',
    answer: async (view, { name, body }) => done(await view.resetPeer(name, parse(Message, body).message), name),
  },
  {
    method: 'POST',
    path: '/v1/peers/:name/refresh',
    answer: async (view, { name, body }) => done(await view.refreshPeer(name, parse(Refresh, body).direction), name),
  },
];

async function drained(view: RouterView, isOn: boolean): Promise<Answer> {
  await view.drain(isOn);
  return { status: 200, value: {} };
}

/** Finds and runs the route of a request. @throws RangeError when the query or body is wrong, naming what */
export async function findRoute(view: RouterView, method: string, url: URL, body: unknown): Promise<Answer> {
  const segments = url.pathname.split('/');
  let otherMethod = false;
  for (const route of ROUTES) {
    const name = match(route.path.split('/'), segments);
    if (name === undefined) continue;
    if (route.method === method) return route.answer(view, { name, query: url.searchParams, body });
    otherMethod = true;
  }
  return otherMethod
    ? { status: 405, value: { error: `${method} is not possible on ${url.pathname}` } }
    : { status: 404, value: { error: `there is no ${url.pathname}` } };
}

/** @returns the value of `:name`, empty when the path has none; undefined when it does not match */
function match(pattern: readonly string[], segments: readonly string[]): string | undefined {
  if (pattern.length !== segments.length) return undefined;
  let name = '';
  for (const [i, part] of pattern.entries()) {
    if (part === ':name') name = decoded(segments[i] ?? '');
    else if (part !== segments[i]) return undefined;
  }
  return name;
}

/** @throws RangeError when percent signs in it mean nothing */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new RangeError(`"${segment}" is not a name in a URL`);
  }
}

function routeQuery(query: URLSearchParams): RouteQuery {
  const { family, prefix, longer, untold } = parse(Query, Object.fromEntries(query));
  if (prefix !== undefined) {
    // Lists are lazy: what is wrong must be found before the first octet of the answer is on its way.
    const target = prefix.includes('/') ? parsePrefix(prefix) : parseAddress(prefix);
    if (!target.ok) throw new RangeError(target.error);
  }
  return {
    ...(family === undefined ? {} : { family }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(longer === 'true' ? { longer: true } : {}),
    ...(untold === 'true' ? { untold: true } : {}),
  };
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new RangeError(result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`).join('; '));
}

async function serviceAnswer(services: ServicesView, name: string): Promise<Answer> {
  const value = await services.service(name);
  const error = `there is no service "${name}" that this proxy serves: names are namespace/name`;
  return value === undefined ? { status: 404, value: { error } } : { status: 200, value };
}

async function asked(tenants: TenantsView, namespace: string, change: string): Promise<Answer> {
  const outcome = await tenants.ask(namespace, change);
  return outcome.ok ? { status: 200, value: {} } : { status: 409, value: { error: outcome.error } };
}

function noTenants(): Answer {
  return { status: 404, value: { error: 'namespaces are not kept apart here (--tenancy namespace)' } };
}

function noBandwidth(): Answer {
  return { status: 404, value: { error: 'nobody limits pods here (kubernetes.run.bandwidth)' } };
}

function noEgress(): Answer {
  return { status: 404, value: { error: 'nobody can have egress addresses here (kubernetes.egressAddresses.ranges)' } };
}

function noProxy(): Answer {
  return { status: 404, value: { error: 'no service proxy runs here (--run-service-proxy)' } };
}

function explained(policies: PoliciesView, question: ExplainQuestion): Answer {
  const answer = policies.explain(question);
  return answer.ok ? { status: 200, value: answer.value } : { status: 404, value: { error: answer.error } };
}

function reached(policies: PoliciesView, query: URLSearchParams): Answer {
  const { namespace, port } = parse(Matrix, Object.fromEntries(query));
  const scope = { ...(namespace === undefined ? {} : { namespace }), ...(port === undefined ? {} : { port }) };
  const answer = policies.matrix(scope);
  return answer.ok ? { status: 200, items: answer.value } : { status: 404, value: { error: answer.error } };
}

function noFirewall(): Answer {
  return {
    status: 404,
    value: { error: 'no firewall runs here (--run-firewall); a folder is asked with --manifests' },
  };
}

function noPeer(name: string): Answer {
  return { status: 404, value: { error: `there is no peer "${name}"` } };
}
