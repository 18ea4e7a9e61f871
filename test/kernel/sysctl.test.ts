/** Forwarding switches in a namespace of the test's own. Needs root. */

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { enableForwarding } from '../../src/kernel/sysctl.js';
import { makeNamespace, type Namespace } from './namespace.js';

let ns: Namespace;
beforeEach(() => {
  ns = makeNamespace('msysctl');
  ns.ip('link add v0 type veth peer name v1');
});
afterEach(() => {
  ns.remove();
});

test('switches forwarding on once, and router advertisements stay in use', () => {
  const first = ns.inside(enableForwarding);
  expect(first).toEqual(
    expect.arrayContaining([
      'net.ipv4.ip_forward=1',
      'net.ipv6.conf.v0.accept_ra=2',
      'net.ipv6.conf.v1.accept_ra=2',
      'net.ipv6.conf.all.forwarding=1',
    ]),
  );
  expect(ns.inside(enableForwarding)).toEqual([]);
});
