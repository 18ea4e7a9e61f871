/** `peerage peer …`: acting upon one neighbour of a running router. */

import type { Command } from 'commander';
import { createControlClient } from '../api/client.js';
import { controlOption } from './controlOption.js';

interface PeerOptions {
  readonly control: string;
  readonly message?: string;
  readonly in?: boolean;
  readonly out?: boolean;
}

export function addPeerCommands(program: Command): void {
  const peer = program
    .command('peer')
    .helpCommand(false)
    .description('act upon one neighbour of a running router')
    .addHelpText(
      'after',
      `
Examples:
  peerage peer disable tor-1 --message "replacing line card, back at 14:00"
  peerage peer enable tor-1
  peerage peer refresh tor-1 --in`,
    );
  const add = (name: string, description: string): Command =>
    peer.command(`${name} <name>`).description(description).addOption(controlOption());
  const message = '-m, --message <text>';
  add('disable', 'end the session and stay down (Administrative Shutdown, RFC 9003)')
    .option(message, 'text for the operator on the other side')
    .action((name: string, options: PeerOptions) => act(name, 'disable', bodyOf(options), options));
  add('enable', 'let the session come up again').action((name: string, options: PeerOptions) =>
    act(name, 'enable', {}, options),
  );
  add('reset', 'end the session and set it up anew (Administrative Reset)')
    .option(message, 'text for the operator on the other side')
    .action((name: string, options: PeerOptions) => act(name, 'reset', bodyOf(options), options));
  add('refresh', 'exchange routes again without a reset (RFC 2918)')
    .option('--in', 'ask the neighbour for its routes (default: both directions)')
    .option('--out', 'send ours again')
    .action(async (name: string, options: PeerOptions) => {
      const both = options.in === undefined && options.out === undefined;
      if (both || options.in === true) await act(name, 'refresh', { direction: 'in' }, options);
      if (both || options.out === true) await act(name, 'refresh', { direction: 'out' }, options);
    });
}

function bodyOf({ message }: PeerOptions): object {
  return message === undefined ? {} : { message };
}

/** Silent when done, as Unix commands are; a refusal is an exit code and a sentence. */
async function act(name: string, what: string, body: object, options: PeerOptions): Promise<void> {
  await createControlClient(options.control).post(`/v1/peers/${encodeURIComponent(name)}/${what}`, body);
}
