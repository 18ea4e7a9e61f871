/** Whether there is a machine at an address. Impure: TCP. */

import { connect } from 'node:net';
import { formatAddress, type IpAddress } from '../../core/ip.js';

/** Of kubelet, and of BGP: whoever refuses is there, too. */
const PORTS: readonly number[] = [10250, 179];
/** Milliseconds: a lost packet is sent again after one second. */
const PATIENCE = 2000;
/** Milliseconds until somebody is asked again whom the network called unreachable. */
const AGAIN = 200;

export interface MachineQuestion {
  /** Asked all at once. */
  readonly ports?: readonly number[] | undefined;
  /** Milliseconds. Nobody is called away before they are over: a way that is not there now may be in a moment. */
  readonly patience?: number;
}

/** @returns whether anything answers in time, be it with a refusal */
export async function machineAnswers(
  address: IpAddress,
  { ports = PORTS, patience = PATIENCE }: MachineQuestion = {},
): Promise<boolean> {
  const until = performance.now() + patience;
  const host = formatAddress(address);
  return new Promise(resolve => {
    let silent = 0;
    for (const port of ports)
      void portAnswers(host, port, until).then(isThere => {
        if (isThere || ++silent === ports.length) resolve(isThere);
      });
  });
}

async function portAnswers(host: string, port: number, until: number): Promise<boolean> {
  for (;;) {
    const left = until - performance.now();
    if (left <= 0) return false;
    if (await connects(host, port, left)) return true;
    await new Promise(resolve => setTimeout(resolve, Math.min(AGAIN, Math.max(0, until - performance.now()))));
  }
}

function connects(host: string, port: number, patience: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port });
    const done = (isThere: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isThere);
    };
    const timer = setTimeout(() => done(false), patience);
    socket.on('connect', () => done(true));
    socket.on('error', error => done('code' in error && error.code === 'ECONNREFUSED'));
  });
}
