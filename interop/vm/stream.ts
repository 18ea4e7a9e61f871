/**
 * A TCP stream of a pod's: `stream.js serve PORT` takes connections in and answers, at the end of each, with how much came;
 * `stream.js send HOST PORT OCTETS` sends that much and prints a line of JSON with the answer and the segments' size.
 */

import { execFileSync } from 'node:child_process';
import { connect, createServer } from 'node:net';

function serve(port: number): void {
  const server = createServer({ allowHalfOpen: true }, socket => {
    let received = 0;
    socket.on('data', (chunk: Buffer) => (received += chunk.length));
    socket.on('end', () => socket.end(String(received)));
    socket.on('error', () => socket.destroy());
  });
  server.listen(port, '::');
}

function send(host: string, port: number, octets: number): void {
  const socket = connect({ host, port, allowHalfOpen: true });
  let answer = '';
  let segment = 0;
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => (answer += text));
  socket.on('end', () => console.log(JSON.stringify({ received: Number(answer), segment })));
  socket.on('error', error => {
    console.log(JSON.stringify({ error: error.message }));
    process.exitCode = 1;
  });
  socket.write(Buffer.alloc(octets), () => {
    segment = Number(
      / mss:(\d+)/.exec(
        execFileSync('ss', ['-tinH', 'dst', host.includes(':') ? `[${host}]` : host], { encoding: 'utf8' }),
      )?.[1],
    );
    socket.end();
  });
}

const [, , command, ...rest] = process.argv;
if (command === 'serve') serve(Number(rest[0]));
else send(rest[0] ?? '', Number(rest[1]), Number(rest[2]));
