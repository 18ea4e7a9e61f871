/**
 * Boots a qemu guest with a Debian kernel and the host's own root, runs suites in it, and brings their results back. Impure.
 *
 * The guest has what many machines that tests run on have not: IPVS, IPIP, FOU, dummy links, netem. It needs no KVM: it is
 * emulated, and JavaScript takes 10 to 30 times as long in it, so suites do little of it. All suites go through one boot.
 *
 * A suite is a file suites/NAME.ts with `export const NAME = vmSuite('NAME', SECONDS, ({ check, prepare, cleanup }) => …)`, and
 * an entry in suites.ts; it had better import little, since a file takes the guest 50 ms to load. Each `check` is a test of `make test-vm`. In the guest a suite is root; modules are loaded by whatever asks for
 * them (`ip link add type dummy`, `modprobe -a ip_vs`, through the kernel). The root is read-only; /tmp, /run, /var/lib and
 * the like are empty and writable. Network: none but loopback; namespaces as on the host.
 *
 * Suites run as they were compiled into build/ (`npm run build:tools`). `PEERAGE_VM_SUITES=NAME,… npx jest --selectProjects=vm`
 * boots the guest for these suites only. PEERAGE_VM_CONSOLE=1 shows what the
 * guest said, and how long it took for what, also when all is well.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, closeSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { VmResult, VmSuite } from './suite.js';

export interface GuestOutcome {
  readonly results: readonly VmResult[];
  /** How the process of each suite ended: 0, or 137 when its time was up. */
  readonly ended: ReadonlyMap<string, number>;
  /** Everything the guest said. */
  readonly console: string;
  /** Of the host. */
  readonly seconds: number;
}

const HOME = resolve(process.cwd());
const VIRTIOFSD = ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd'];
const MEMORY = '2G';

/**
 * @param limit milliseconds after which the guest is ended, whatever it does
 * @throws Error when the guest cannot be started
 */
export async function runGuest(suites: readonly VmSuite[], limit: number): Promise<GuestOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'peerage-vm-'));
  const begun = Date.now();
  const processes: Started[] = [];
  try {
    const socket = join(folder, 'root.sock');
    const files = start('virtiofsd', virtiofsd(), fileServerArguments(socket), join(folder, 'virtiofsd'));
    processes.push(files);
    await until(() => existsSync(socket) || files.hasEnded(), 30_000);
    if (files.hasEnded()) throw new Error(`virtiofsd ended at once: ${files.output()}`);
    const machine = start('qemu', 'qemu-system-x86_64', machineArguments(folder, socket, suites), join(folder, 'qemu'));
    processes.push(machine);
    const isOver = await until(() => machine.hasEnded(), limit);
    const verdict = isOver ? machine.output() : `the guest was ended after ${limit / 1000} s\n`;
    return {
      ...readResults(text(join(folder, 'results'))),
      console: text(join(folder, 'console')) + verdict,
      seconds: (Date.now() - begun) / 1000,
    };
  } finally {
    for (const { end } of processes.reverse()) await end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A folder with `vmlinuz` and `lib/modules`. @throws Error when nobody fetched it */
function kernelFolder(): string {
  const link = join(HOME, '.cache/guest/unpacked/current');
  if (!existsSync(link)) throw new Error(`${link} is missing: run scripts/fetchGuestKernel.sh (make test-vm does)`);
  return realpathSync(link);
}

function virtiofsd(): string {
  const found = VIRTIOFSD.find(path => existsSync(path));
  if (found === undefined) throw new Error(`no virtiofsd: run scripts/fetchGuestKernel.sh (make test-vm does)`);
  return found;
}

function fileServerArguments(socket: string): readonly string[] {
  const isOfQemu = virtiofsd().includes('/qemu/');
  return isOfQemu
    ? [`--socket-path=${socket}`, '-o', 'source=/', '-o', 'cache=always', '-o', 'sandbox=chroot']
    : [`--socket-path=${socket}`, '--shared-dir=/', '--cache=always', '--sandbox=chroot', '--readonly'];
}

function machineArguments(folder: string, socket: string, suites: readonly VmSuite[]): readonly string[] {
  const kernel = kernelFolder();
  // The kernel takes quotes around values with spaces, and hands on what it does not know itself as environment.
  const settings = {
    peerage_home: HOME,
    peerage_node: process.execPath,
    peerage_modules: kernel,
    peerage_suites: suites.map(({ name, limit }) => `${name}:${limit}`).join(','),
  };
  const line = [
    // The kernel counts ticks to see whether timers work, and panics when a busy machine was late with them.
    'console=ttyS0 quiet panic=-1 no_timer_check mitigations=off rootfstype=virtiofs root=hostroot ro',
    `init="${join(HOME, 'interop/vm/init.sh')}"`,
    ...Object.entries(settings).map(([name, value]) => `${name}="${value}"`),
  ].join(' ');
  return [
    // One processor: of two, the emulated second may run into an instruction that the first is just patching, and panic.
    ...['-accel', process.env['PEERAGE_VM_ACCEL'] ?? 'tcg,thread=multi', '-cpu', 'max', '-smp', '1', '-m', MEMORY],
    ...['-object', `memory-backend-memfd,id=mem,size=${MEMORY},share=on`, '-numa', 'node,memdev=mem'],
    ...['-chardev', `socket,id=root,path=${socket}`, '-device', 'vhost-user-fs-pci,chardev=root,tag=hostroot'],
    ...['-display', 'none', '-monitor', 'none', '-nic', 'none', '-no-reboot'],
    ...['-serial', `file:${join(folder, 'console')}`, '-serial', `file:${join(folder, 'results')}`],
    ...['-kernel', join(kernel, 'vmlinuz'), '-append', line],
  ];
}

interface Started {
  readonly hasEnded: () => boolean;
  /** What it printed, and how it ended if not well. */
  readonly output: () => string;
  readonly end: () => Promise<void>;
}

/** @param log file for what it prints */
function start(name: string, program: string, parameters: readonly string[], log: string): Started {
  const output = openSync(log, 'w');
  const child: ChildProcess = spawn(program, parameters, { stdio: ['ignore', output, output] });
  closeSync(output);
  let ending: string | undefined;
  child.once('error', error => {
    ending = `${name}: ${error.message}\n`;
  });
  child.once('exit', (code, signal) => {
    ending = code === 0 ? '' : `${name} ended with ${code ?? signal ?? 'nothing'}\n`;
  });
  return {
    hasEnded: () => ending !== undefined,
    output: () => text(log) + (ending ?? ''),
    end: async () => {
      if (ending === undefined) child.kill('SIGKILL');
      await until(() => ending !== undefined, 10_000);
    },
  };
}

/** @returns whether it came true */
async function until(holds: () => boolean, milliseconds: number): Promise<boolean> {
  for (const end = Date.now() + milliseconds; !holds();) {
    if (Date.now() > end) return false;
    await delay(100);
  }
  return true;
}

function text(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

const LINE = z.union([
  z.object({ suite: z.string(), ended: z.number() }),
  z.object({ suite: z.string(), check: z.string(), error: z.string().optional(), milliseconds: z.number() }),
]);

/** Lines of JSON, the last of which may have been cut short. */
function readResults(lines: string): Pick<GuestOutcome, 'results' | 'ended'> {
  const parsed = lines.split('\n').flatMap(line => {
    try {
      return [LINE.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
  return {
    results: parsed.flatMap(line => ('check' in line ? [line] : [])),
    ended: new Map(parsed.flatMap(line => ('ended' in line ? [[line.suite, line.ended]] : []))),
  };
}
