/** Whether there is a machine at an address. Impure: TCP. */

import { connect } from 'node:net';
import { formatAddress, type IpAddress } from '../../core/ip.js';

/** Of kubelet, and of BGP: whoever refuses is there, too. */
const PORTS = [10250, 179] as const;
/** Milliseconds: a lost packet is sent again after one second. */
const PATIENCE = 2000;

/** @param ports asked all at once @returns whether anything answers in time, be it with a refusal */
export async function machineAnswers(
  address: IpAddress,
  ports: readonly number[] = PORTS,
  patience = PATIENCE,
): Promise<boolean> {
  return (await Promise.all(ports.map(port => portAnswers(formatAddress(address), port, patience)))).includes(true);
}

function portAnswers(host: string, port: number, patience: number): Promise<boolean> {
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
