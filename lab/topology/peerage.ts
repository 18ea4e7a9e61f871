/** Our own programs inside a topology: speakers and agents, and questions over their control sockets. Impure. */

import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createControlClient, type ControlClient } from '../../src/api/client.js';
import type { FibRouteView, PeerDetail, PeerSummary, RouteView } from '../../src/api/view.js';
import type { Program, Topology } from './topology.js';

const MAIN = resolve('dist/cli/main.js');

export class PeerageProcess {
  program: Program;
  readonly client: ControlClient;

  private constructor(
    private readonly topology: Topology,
    readonly host: string,
    private readonly args: readonly string[],
    readonly control: string,
    private readonly env: NodeJS.ProcessEnv = {},
  ) {
    this.program = this.launch();
    this.client = createControlClient(control);
  }

  /** @param config YAML text */
  static speaker(topology: Topology, host: string, config: string, name = host): PeerageProcess {
    const file = join(topology.folder, `${name}.yaml`);
    writeFileSync(file, config);
    const control = join(topology.folder, `${name}.sock`);
    return new PeerageProcess(
      topology,
      host,
      ['speaker', '--config', file, '--control', control, '--log-level', 'debug'],
      control,
    );
  }

  static agent(
    topology: Topology,
    host: string,
    options: {
      readonly node: string;
      /** Folder of objects; absent: the API server that the configuration names. */
      readonly manifests?: string;
      readonly config: string;
      /** Added to our own. */
      readonly env?: NodeJS.ProcessEnv;
    },
  ): PeerageProcess {
    const file = join(topology.folder, `${host}.yaml`);
    writeFileSync(file, options.config);
    const control = join(topology.folder, `${host}.sock`);
    const args = [
      'agent',
      ...(options.manifests === undefined ? [] : ['--manifests', options.manifests]),
      '--node-name',
      options.node,
      '--config',
      file,
      '--control',
      control,
      '--log-level',
      'debug',
    ];
    return new PeerageProcess(topology, host, args, control, options.env);
  }

  /** File of the configuration; writing it makes the process read it again. */
  configure(config: string): void {
    writeFileSync(this.args[this.args.indexOf('--config') + 1]!, config);
  }

  /** Starts it again after it has ended. */
  restart(): void {
    this.program = this.launch();
  }

  async peers(): Promise<PeerSummary[]> {
    return (await this.collect('/v1/peers')) as PeerSummary[];
  }

  async peer(name: string): Promise<PeerDetail> {
    return (await this.client.get(`/v1/peers/${encodeURIComponent(name)}`)) as PeerDetail;
  }

  async routes(): Promise<RouteView[]> {
    return (await this.collect('/v1/routes')) as RouteView[];
  }

  async adjIn(name: string): Promise<RouteView[]> {
    return (await this.collect(`/v1/peers/${encodeURIComponent(name)}/adj-in`)) as RouteView[];
  }

  async adjOut(name: string): Promise<RouteView[]> {
    return (await this.collect(`/v1/peers/${encodeURIComponent(name)}/adj-out`)) as RouteView[];
  }

  async fib(): Promise<FibRouteView[]> {
    return (await this.collect('/v1/fib')) as FibRouteView[];
  }

  async act(name: string, what: 'disable' | 'enable' | 'reset' | 'refresh', body: object = {}): Promise<void> {
    await this.client.post(`/v1/peers/${encodeURIComponent(name)}/${what}`, body);
  }

  private async collect(path: string): Promise<unknown[]> {
    const items: unknown[] = [];
    for await (const item of this.client.list(path)) items.push(item);
    return items;
  }

  private launch(): Program {
    return this.topology.start(this.host, this.host, process.execPath, [MAIN, ...this.args], this.env);
  }
}
