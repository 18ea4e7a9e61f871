/** `peerage check`: is a configuration good, and what does it come to? */

import type { Command } from 'commander';
import { formatConfigErrors } from '../app/config/configError.js';
import { loadConfig, type LoadedConfig } from '../app/config/configFile.js';
import { formatAddress, formatPrefix } from '../core/ip.js';
import { printFields, printList, write, type Column } from './output.js';

interface EffectivePeer {
  readonly name: string;
  readonly address: string;
  readonly asn: string;
  readonly holdTime: number;
  readonly families: string;
  readonly notes: string;
}

const COLUMNS: readonly Column<EffectivePeer>[] = [
  { head: 'PEER', value: peer => peer.name },
  { head: 'ADDRESS', value: peer => peer.address },
  { head: 'AS', align: 'right', value: peer => peer.asn },
  { head: 'HOLD', align: 'right', value: peer => String(peer.holdTime) },
  { head: 'FAMILIES', value: peer => peer.families },
  { head: '', value: peer => peer.notes },
];

const SHOWN_NETWORKS = 8;

export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('check a configuration file and print what it comes to')
    .requiredOption('-c, --config <file>', 'YAML or JSON configuration')
    .addHelpText('after', '\nExit code: 0 when the file is good, 1 when it has mistakes, each with its line.')
    .action(async ({ config }: { readonly config: string }) => {
      const loaded = loadConfig(config, false);
      if (!loaded.ok) {
        process.stderr.write(`${formatConfigErrors(loaded.error)}\n`);
        process.exitCode = 1;
        return;
      }
      const { engine } = loaded.value;
      await printFields([
        ['AS', String(engine.asn)],
        [
          'Listening',
          engine.listen.map(({ address, port }) => `${formatAddress(address)} port ${port}`).join(', ') || 'nowhere',
        ],
        ['Networks', networksText(engine)],
        ['Graceful restart', engine.gracefulRestart === undefined ? 'off' : `${engine.gracefulRestart.restartTime} s`],
      ]);
      await write('\n');
      await printList(effectivePeers(engine), COLUMNS, 'table');
    });
}

/** The first few, and how many there are. */
function networksText({ networks }: LoadedConfig['engine']): string {
  if (networks.length === 0) return 'none';
  const first = networks.slice(0, SHOWN_NETWORKS).map(network => formatPrefix(network.prefix));
  const more = networks.length - first.length;
  return [...first, ...(more > 0 ? [`… ${more} more`] : [])].join(', ');
}

function effectivePeers(engine: LoadedConfig['engine']): EffectivePeer[] {
  const ranges = engine.dynamicRanges.map(range => ({
    ...range,
    name: `${range.group} (up to ${range.limit})`,
    address: formatPrefix(range.prefix),
  }));
  const peers = engine.peers.map(peer => ({ ...peer, address: formatAddress(peer.session.remote) }));
  return [...peers, ...ranges].map(({ name, address, session, routing }) => ({
    name,
    address,
    asn: session.remoteAsn === undefined ? 'any' : String(session.remoteAsn),
    holdTime: session.holdTime,
    families: [session.families[0] ? 'IPv4' : undefined, session.families[1] ? 'IPv6' : undefined]
      .filter(Boolean)
      .join(' '),
    notes: [
      session.password === undefined ? undefined : 'TCP-MD5',
      routing.routeReflectorClient ? 'client' : undefined,
      session.gracefulRestart === undefined ? undefined : 'graceful restart',
    ]
      .filter(Boolean)
      .join(', '),
  }));
}
