/** What another node that may hold egress addresses says when it is asked: by TCP whether it is there, over HTTP what it hears. Impure. */

import { get } from 'node:http';
import { formatAddress, type IpAddress } from '../../core/ip.js';
import { isRecord } from '../../kube/objects.js';
import type { Word } from './holderFence.js';
import { machineAnswers } from './machineAnswers.js';

/** Where the agent's server of health tells whether it hears of the API server. */
export const HOLDER_PATH = '/egress-holder';

export interface HolderAnswer {
  /** The agent may hold egress addresses, and has not heard of the API server for some seconds. */
  readonly isCutOff: boolean;
}

/** Milliseconds: what comes later than this is not waited for. */
const PATIENCE = 1100;
/** Octets of an answer that is one of ours. */
const MOST = 1000;

/** @param healthPort of the other agent; 0: it tells nobody */
export async function askHolder(
  addresses: readonly IpAddress[],
  healthPort: number,
  ports?: readonly number[],
): Promise<Word> {
  const question = { ports, patience: PATIENCE };
  const machines = addresses.map(async address => ((await machineAnswers(address, question)) ? 'there' : 'silent'));
  const words = healthPort === 0 ? [] : addresses.map(address => wordOf(address, healthPort));
  const found: readonly Word[] = await Promise.all([...machines, ...words]);
  if (found.includes('deaf')) return 'deaf';
  return found.includes('there') ? 'there' : 'silent';
}

function wordOf(address: IpAddress, port: number): Promise<Word> {
  return new Promise(resolve => {
    const host = formatAddress(address);
    const request = get({ host, port, path: HOLDER_PATH, agent: false, signal: AbortSignal.timeout(PATIENCE) });
    let text = '';
    request.on('error', () => resolve('silent'));
    request.on('response', response => {
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
        if (text.length > MOST) request.destroy();
      });
      response.on('error', () => resolve('there'));
      response.on('end', () => resolve(isCutOff(text) ? 'deaf' : 'there'));
      response.on('close', () => resolve('there'));
    });
  });
}

function isCutOff(text: string): boolean {
  try {
    const json: unknown = JSON.parse(text);
    return isRecord(json) && json['isCutOff'] === true;
  } catch {
    return false;
  }
}
