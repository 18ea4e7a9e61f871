/** The run's end of a load process: asks, and waits for the answer, no longer than it is patient. */

import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Reply, type Answer, type Command } from '../load/commands.js';
import { spawnIn } from './netns.js';

/** The speaker did not finish in time; printed as "> limit". */
export class OutOfTime extends Error {
  constructor(readonly limitSeconds: number) {
    super(`not done within ${limitSeconds} s`);
  }
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

export class LoadProcess {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 1;
  /** Why sessions ended although nobody asked them to. */
  lost: string | undefined;

  /** @param script relative to the compiled bench/load */
  constructor(namespace: string, script: 'feeder.js' | 'receivers.js') {
    const path = fileURLToPath(new URL(`../load/${script}`, import.meta.url));
    const node = [process.execPath, '--max-semi-space-size=16', path];
    this.child = spawnIn(namespace, node, ['ignore', 'inherit', 'inherit', 'ipc']);
    this.child.on('message', message => this.receive(message));
    this.child.on('exit', code => this.failAll(new Error(`${script} exited with ${code ?? 'a signal'}`)));
  }

  ask(command: Command, limitSeconds = 120): Promise<Answer> {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new OutOfTime(limitSeconds));
      }, limitSeconds * 1000);
      this.waiting.set(id, {
        resolve: answer => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: error => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.child.send({ id, command });
    });
  }

  stop(): void {
    this.child.removeAllListeners('exit');
    if (this.child.connected) this.child.disconnect();
    this.child.kill();
  }

  private receive(message: unknown): void {
    const reply = Reply.parse(message);
    if ('lost' in reply) {
      this.lost = reply.lost;
      return;
    }
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if ('error' in reply) waiting?.reject(new Error(reply.error));
    else waiting?.resolve(reply.answer);
  }

  private failAll(error: Error): void {
    for (const waiting of this.waiting.values()) waiting.reject(error);
    this.waiting.clear();
  }
}
