/** The DaemonSets of deploy/: the configuration in their ConfigMaps is good, and what they mount and ask for fits it. */

import { expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { loadAgentConfig, type LoadedAgentConfig } from '../../../src/app/kubeConfigFile.js';

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: number };
}
interface Container {
  readonly args: readonly string[];
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Manifest {
  readonly kind: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly Container[];
        readonly volumes: readonly { readonly name: string }[];
      };
    };
  };
}

function manifestsOf(name: string): readonly Manifest[] {
  return parseAllDocuments(readFileSync(`deploy/${name}.yaml`, 'utf8')).map(document => document.toJS() as Manifest);
}

function loaded(text: string): LoadedAgentConfig {
  const folder = mkdtempSync(join(tmpdir(), 'peerage-deploy-'));
  try {
    writeFileSync(join(folder, 'agent.yaml'), text);
    const result = loadAgentConfig(join(folder, 'agent.yaml'));
    if (!result.ok) throw new Error(result.error.map(({ message }) => message).join('\n'));
    return result.value;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each([
  ['router', { serviceProxy: false, firewall: false }],
  ['proxy', { serviceProxy: true, firewall: false }],
  ['firewall', { serviceProxy: false, firewall: true }],
])('deploy/%s.yaml', (name, run) => {
  const manifests = manifestsOf(name);
  const text = manifests.find(({ kind }) => kind === 'ConfigMap')?.data?.['agent.yaml'] ?? '';
  const { settings } = loaded(text);
  expect(settings.kubernetes.run).toMatchObject(run);
  // What it proposes in comments is good too.
  const proposed = text.replace(/^( *)# (?=\w+: )/gm, '$1');
  expect(loaded(proposed).settings.kubernetes).toMatchObject({ advertise: { clusterIp: true } });

  const pod = manifests.find(({ kind }) => kind === 'DaemonSet')?.spec?.template.spec;
  const container = pod?.containers[0];
  expect(container?.args).toEqual(['agent', '--config', '/etc/peerage/agent.yaml']);
  expect(container?.livenessProbe.httpGet).toEqual({ path: '/livez', port: settings.kubernetes.health.port });
  expect(container?.readinessProbe.httpGet).toEqual({ path: '/readyz', port: settings.kubernetes.health.port });
  expect(container?.volumeMounts.map(mount => mount.name)).toEqual(pod?.volumes.map(volume => volume.name));
});
