/** A port as it is written in questions: `80/tcp`, `53/udp`, or `80`, which is TCP. */

import { err, ok, type Result } from '../../core/result.js';
import type { Protocol } from '../../kube/objectTypes.js';

export interface ProtocolPort {
  readonly protocol: Protocol;
  readonly port: number;
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };

/** The error is a sentence for a person. */
export function parsePort(text: string): Result<ProtocolPort, string> {
  const [digits = '', name = 'tcp', ...rest] = text.split('/');
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  const protocol = Object.hasOwn(PROTOCOLS, name.toLowerCase()) ? PROTOCOLS[name.toLowerCase()] : undefined;
  if (rest.length > 0 || protocol === undefined || port < 1 || port > 65535)
    return err(`"${text}" is no port: number/protocol is expected, such as 80/tcp, 53/udp or 9000/sctp`);
  return ok({ protocol, port });
}

export function portText({ protocol, port }: ProtocolPort): string {
  return `${port}/${protocol.toLowerCase()}`;
}
