/** A program in a network namespace that is told lines of JSON and answers each by its number. Impure. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export class LineProcess {
  private next = 0;
  private readonly waiting = new Map<number, (answer: unknown) => void>();
  private readonly child: ChildProcess;
  /** Rejects when the program has ended. */
  private readonly broken: Promise<never>;

  /**
   * @param namespace as `ip netns` knows it; needs root
   * @param program JavaScript that reads `{id, …}` and writes `{id, answer}`, one a line, and ends with its input
   */
  constructor(namespace: string, program: string, ...args: readonly string[]) {
    const command = ['netns', 'exec', namespace, process.execPath, '-e', program, ...args];
    this.child = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.broken = once(this.child, 'exit').then(([code, signal]: (number | string | null)[]) => {
      throw new Error(`the program has ended (${code ?? signal ?? 'nobody knows why'})`);
    });
    this.broken.catch(() => undefined);
    this.child.stdin?.on('error', () => undefined);
    createInterface({ input: this.child.stdout! }).on('line', line => {
      const told = JSON.parse(line) as { readonly id: number; readonly answer: unknown };
      this.waiting.get(told.id)?.(told.answer);
      this.waiting.delete(told.id);
    });
  }

  /** @throws Error when the program has ended, or does before it answers */
  ask(question: object): Promise<unknown> {
    const id = ++this.next;
    const answer = new Promise<unknown>(resolve => this.waiting.set(id, resolve));
    this.child.stdin?.write(`${JSON.stringify({ id, ...question })}\n`);
    return Promise.race([answer, this.broken]);
  }

  /** Harmless when repeated. */
  async end(): Promise<void> {
    this.child.stdin?.end();
    await this.broken.catch(() => undefined);
  }
}
