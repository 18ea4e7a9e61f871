/** What a case of the proxy sees of the rig: one family's addresses, actors to ask, and services that come and go. */

import assert from 'node:assert/strict';
import type { ProxyBackend } from '../../src/proxy/proxyBackend.js';
import type { Backend, Family, ProxySettings } from '../../src/proxy/proxyTypes.js';
import type { Answer, Question } from '../kernel/proxyActor.js';
import {
  ADDRESSES,
  backendOn,
  deltaOf,
  GATEWAYS,
  SETTINGS,
  type ActorName,
  type ProxyRig,
  type ServiceShape,
} from '../kernel/proxyRig.js';
import type { DivergenceName } from './divergences.js';
import type { SemanticNumber } from './semantics.js';

/** Where something differs on purpose, a case asks what kind of backend it is; nowhere else. */
export interface World {
  readonly rig: ProxyRig;
  readonly family: Family;
  /** Whether the kernel has SCTP sockets. */
  readonly hasSctp: boolean;
}

/** One behaviour, in one family. */
export interface RowCase {
  readonly name: string;
  /** Which semantics of `semantics.ts` it proves. */
  readonly proves: readonly SemanticNumber[];
  /** What the backends differ in, in it. */
  readonly differs?: readonly DivergenceName[];
  run(world: World): Promise<void>;
}

/** How long nothing has to come until it is taken for dropped, in milliseconds. */
const SILENCE = 1500;
/** For what takes its time, on a slow machine. */
const PATIENCE = 90_000;

export const clusterIp = (family: Family, n: number): string => (family === 4 ? `10.96.0.${n}` : `fd96::${n}`);
export const external = (family: Family, n: number): string => (family === 4 ? `203.0.113.${n}` : `fdcc::${n}`);
export const loopback = (family: Family): string => (family === 4 ? '127.0.0.1' : '::1');
/** The node's address on the link to an actor: what a packet that is masqueraded on the way there comes from. */
export function nodeAt(family: Family, actor: 'a' | 'b' | 'c' | 'client'): string {
  return GATEWAYS[actor][family === 4 ? 0 : 1];
}

/** Backends on the pods a and b of the node, and c of another. */
export function backendsOf(family: Family): Readonly<Record<'a' | 'b' | 'c', Backend>> {
  return { a: backendOn(family, 'a'), b: backendOn(family, 'b'), c: backendOn(family, 'c') };
}

export async function ask(
  { rig }: World,
  actor: ActorName,
  address: string,
  more: Partial<Question> = {},
): Promise<Answer> {
  return rig.actors[actor].ask({ protocol: 'tcp', address, port: 80, ...more });
}

/** Asserts that nothing comes back, not even a refusal. */
export async function isSilent(
  world: World,
  actor: ActorName,
  address: string,
  more: Partial<Question> = {},
): Promise<void> {
  assert.equal(await ask(world, actor, address, { patience: SILENCE, ...more }), 'silence', `${actor} to ${address}`);
}

/** Enough questions that every one of two backends was asked: nftables chooses at random. */
export function times({ rig }: World, chosenAtRandom = true): number {
  if (rig.proxy.kind === 'ipvs') return 6;
  return chosenAtRandom ? 40 : 15;
}

/** All the answers of so many questions, each once. */
export async function answers(count: number, question: () => Promise<Answer>): Promise<readonly Answer[]> {
  const found = new Set<Answer>();
  for (let i = 0; i < count; i++) found.add(await question());
  return [...found].sort();
}

/** Who answered. */
export const who = (answer: Answer): string => answer.split(' ')[0] ?? '';

/** Asks until the answer is as it should be. */
export async function until(expected: string, question: () => Promise<Answer>): Promise<void> {
  let last = '';
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    last = await question();
    if (last === expected) return;
  }
  assert.equal(last, expected);
}

/** Puts services in place of others. */
export async function change(
  { rig }: World,
  services: readonly ServiceShape[],
  removed: readonly ServiceShape[] = [],
): Promise<void> {
  rig.proxy.apply(deltaOf(services, removed));
  await rig.proxy.idle();
}

/** Runs with these services, and takes them away again. */
export async function withServices(
  world: World,
  services: readonly ServiceShape[],
  act: () => Promise<void>,
): Promise<void> {
  await change(world, services);
  try {
    await act();
  } finally {
    await change(world, [], services);
  }
}

/** Runs with other settings, and puts the usual ones back. */
export async function withSettings(
  world: World,
  more: Partial<ProxySettings>,
  act: () => Promise<void>,
): Promise<void> {
  const { proxy } = world.rig;
  await configure(proxy, { ...SETTINGS, ...more });
  try {
    await act();
  } finally {
    await configure(proxy, SETTINGS);
  }
}

export async function configure(proxy: ProxyBackend, settings: ProxySettings): Promise<void> {
  proxy.configure(settings);
  await proxy.idle();
}

/** Begins a service with this rig's usual name. */
export function service({ family }: World, more: Partial<ServiceShape> = {}): ServiceShape {
  return { family, name: 'web', cluster: [], frontends: [{ address: clusterIp(family, 1) }], ...more };
}

/** The addresses of actors. */
export function at({ family }: World): Readonly<Record<ActorName, string>> {
  return ADDRESSES[family];
}
