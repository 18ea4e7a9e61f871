/**
 * Asks many questions over TCP, UDP and SCTP, from the namespace it runs in: `node prober.js < ORDER`, with an {@link Order} as
 * JSON, prints the {@link Answers}. Impure.
 */

import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Target } from './questions.js';
import { openSctpClient } from './sctp.js';

export interface Order {
  /** Connections for each question, one after the other, until one is not answered by an endpoint. */
  readonly tries: number;
  /** Milliseconds to wait for an answer. */
  readonly patience: number;
  readonly questions: readonly (Target & { readonly from?: string })[];
}

/** By question: distinct answers, `ADDRESS PORT CLIENT` as servers say it, `refused`, `silence` or `error CODE`. */
export type Answers = readonly (readonly string[])[];

/** Questions asked at the same time. */
const AT_ONCE = 100;
const REFUSALS: readonly (string | undefined)[] = ['ECONNREFUSED', 'ECONNRESET'];

type Question = Order['questions'][number];

const order = JSON.parse(await text(process.stdin)) as Order;
const answers: string[][] = order.questions.map(() => []);
const sctp = openSctpClient();
const ASK: Readonly<Record<Question['protocol'], (question: Question) => Promise<string>>> = {
  TCP: askTcp,
  UDP: askUdp,
  SCTP: question => sctp.ask(question, order.patience),
};
const left = [...order.questions.entries()].reverse();
await Promise.all(Array.from({ length: AT_ONCE }, work));
process.stdout.write(JSON.stringify(answers satisfies Answers), () => process.exit(0));

async function work(): Promise<void> {
  for (let next = left.pop(); next !== undefined; next = left.pop()) answers[next[0]] = await askAll(next[1]);
}

async function askAll(question: Question): Promise<string[]> {
  const heard = new Set<string>();
  for (let i = 0; i < order.tries; i++) {
    const answer = await ASK[question.protocol](question);
    heard.add(answer);
    if (!answer.includes(' ') || answer.startsWith('error')) break;
  }
  return [...heard].sort();
}

function askTcp({ address: host, port, from }: Question): Promise<string> {
  return new Promise(resolve => {
    const socket = connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) });
    const finish = (answer: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish('silence'), order.patience);
    socket.on('data', data => finish(data.toString().trim()));
    socket.on('end', () => finish('closed'));
    socket.on('error', error => finish(faultOf(error)));
  });
}

function askUdp({ address, port, from }: Question): Promise<string> {
  return new Promise(resolve => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    let isDone = false;
    const finish = (answer: string): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish('silence'), order.patience);
    socket.on('message', data => finish(data.toString()));
    socket.on('error', error => finish(faultOf(error)));
    socket.bind(0, from, () => {
      if (isDone) return;
      socket.connect(port, address, (error?: Error) => {
        if (error !== undefined) finish(faultOf(error));
        else socket.send('?');
      });
    });
  });
}

function faultOf(error: NodeJS.ErrnoException): string {
  return REFUSALS.includes(error.code) ? 'refused' : `error ${error.code ?? error.message}`;
}
