import { describe, expect, test } from '@jest/globals';
import { Command } from 'commander';
import { addAgentFlags } from '../../../src/cli/agentFlags.js';
import { FLAGS } from '../../../src/app/flags/flagTable.js';
import { readFlags } from '../../../src/app/flags/readFlags.js';
import { configText } from '../../../src/app/printConfig.js';

/** @returns what was given, or what commander said */
function parse(...args: readonly string[]): ReadonlyMap<string, readonly string[]> | string {
  const said: string[] = [];
  const command = new Command('agent').exitOverride().configureOutput({ writeErr: text => said.push(text) });
  const texts = addAgentFlags(command);
  try {
    command.parse(args, { from: 'user' });
    return texts;
  } catch {
    return said.join('');
  }
}

describe('flags on the command line', () => {
  test.each(FLAGS.map(flag => [flag.name, flag] as const))('--%s arrives as it was written', (name, flag) => {
    const texts = parse(`--${name}=x`);
    expect(texts).toEqual(new Map([[name, ['x']]]));
    if (flag.placeholder === '') expect(parse(`--${name}`)).toEqual(new Map([[name, ['true']]]));
  });

  test('a list may come in several flags, and a switch be turned off', () => {
    const texts = parse(
      '--peer-router-ips',
      '10.0.0.1,10.0.0.2',
      '--peer-router-ips=10.0.0.3',
      '--enable-overlay=false',
    );
    if (typeof texts === 'string') throw new Error(texts);
    const read = readFlags(texts);
    expect(read.ok && read.value.get('peer-router-ips')?.value).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    expect(read.ok && read.value.get('enable-overlay')?.value).toBe(false);
  });

  test('an unknown flag fails with a suggestion', () => {
    expect(parse('--advertise-cluster-ips')).toContain('(Did you mean --advertise-cluster-ip?)');
  });
});

describe('--print-config', () => {
  test('shows what was said and no key', () => {
    const text = configText({
      peers: [{ name: 'tor', password: { value: 'secret-1' } }],
      kubernetes: { externalPeers: [{ address: '10.0.0.1', password: { value: 'secret-2' } }] },
    });
    expect(text).toContain('address: 10.0.0.1');
    expect(text).not.toContain('secret');
    expect(text.match(/HIDDEN/g)).toHaveLength(2);
  });

  test('is empty where nothing was said', () => {
    expect(configText(undefined)).toBe('');
  });
});
