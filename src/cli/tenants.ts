/** `peerage tenants …`: asks for another network of namespaces, by the running agent or straight at the API server. */

import type { Command } from 'commander';
import { createControlClient } from '../api/client.js';
import type { TenantView } from '../api/view.js';
import { controlOption } from './controlOption.js';
import type { Column } from './output.js';

interface TenantOptions {
  readonly control: string;
  readonly kubeconfig?: string;
}

export function addTenantCommands(program: Command): void {
  const tenants = program
    .command('tenants')
    .helpCommand(false)
    .description('ask for another network of a namespace (docs/tenants.md)')
    .addHelpText('after', EXAMPLES);
  const add = (signature: string, description: string): Command =>
    tenants
      .command(signature)
      .description(description)
      .addOption(controlOption())
      .option('--kubeconfig <file>', 'ask the API server by this file, in place of the running agent');
  add('join <namespace> <to>', "give a namespace another one's network: their pods reach each other").action(
    async (namespace: string, to: string, options: TenantOptions) => ask([namespace], `join:${to}`, options),
  );
  add('isolate <namespaces...>', 'give each of these namespaces a network of its own').action(
    async (namespaces: readonly string[], options: TenantOptions) => ask(namespaces, 'isolate', options),
  );
  add('global <namespaces...>', 'let these namespaces reach all, and be reached by all').action(
    async (namespaces: readonly string[], options: TenantOptions) => ask(namespaces, 'global', options),
  );
}

const EXAMPLES = `
What is asked for stands on the Namespace as annotation peerage.io/tenant.change
until it is done; peerage show tenants tells.

Examples:
  peerage tenants join staging-db staging
  peerage tenants isolate staging-db
  peerage tenants global monitoring --kubeconfig ~/.kube/config`;

/** Silent when it is asked for; the first that cannot be ends it. */
async function ask(
  namespaces: readonly string[],
  change: string,
  { control, kubeconfig }: TenantOptions,
): Promise<void> {
  if (kubeconfig !== undefined) {
    // Loaded on demand: the usual way needs no client of the API server.
    const { askApiServer } = await import('../app/tenants/askApiServer.js');
    await askApiServer(kubeconfig, namespaces, change);
    return;
  }
  for (const namespace of namespaces)
    await createControlClient(control).post(`/v1/tenants/${encodeURIComponent(namespace)}`, { change });
}

export const TENANT_COLUMNS: readonly Column<TenantView>[] = [
  { head: 'NAMESPACE', value: tenant => tenant.namespace },
  {
    head: 'TENANT',
    align: 'right',
    value: ({ tenant }) => (tenant === null ? 'closed' : tenant === 0 ? 'global' : String(tenant)),
  },
  { head: 'WITH', value: tenant => tenant.with.join(', ') },
  { head: 'ADDRESSES', align: 'right', value: tenant => String(tenant.addresses) },
  { head: 'HERE', align: 'right', value: tenant => String(tenant.localAddresses) },
  { head: 'DENIED TO', align: 'right', value: tenant => String(tenant.deniedTo ?? '-') },
  { head: 'DENIED FROM', align: 'right', value: tenant => String(tenant.deniedFrom ?? '-') },
  { head: 'ASKED', value: tenant => tenant.asked ?? '' },
  { head: 'PROBLEM', wide: true, value: tenant => tenant.problem ?? '' },
];
