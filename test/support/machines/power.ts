import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { LocalInstance } from 'fleetbeat/adapters/local';
import type { Machine } from './machine.ts';

/** Machines as a cloud of the kind `local` has them, with commands that switch them and tell whether they are on. */
export interface MachinePower {
  readonly instances: readonly LocalInstance[];
  /** How long a machine took from its last start until its sshd spoke, in milliseconds; null where it has not yet. */
  bootMs(ip: string): number | null;
  close(): Promise<void>;
}

/** Words: the port of the switch, what to do, the machine's address. Writes the answer. */
const ASK = 'exec 3<>"/dev/tcp/127.0.0.1/$1"; echo "$2 $3" >&3; cat <&3';

/** A start and a stop are accepted at once and take their time, as in a cloud. A machine's id is its name. */
export async function machinePower(machines: readonly Machine[]): Promise<MachinePower> {
  const switching = new Map<Machine, 'pending' | 'stopping'>();
  const bootMs = new Map<string, number>();
  const byIp = new Map(machines.map((machine) => [machine.ip, machine]));

  const boot = async (machine: Machine) => {
    const from = performance.now();
    await machine.boot();
    void untilSshSpeaks(machine).then((spoke) => spoke && bootMs.set(machine.ip, performance.now() - from));
  };
  // A machine that cannot be switched is the harness's fault: it surfaces as an unhandled rejection.
  const begin = (machine: Machine, word: 'pending' | 'stopping', run: () => Promise<void>) => {
    switching.set(machine, word);
    void run().finally(() => switching.delete(machine));
  };
  const answer = (verb: string, machine: Machine): string => {
    if (verb === 'start' && !machine.isOn && !switching.has(machine)) begin(machine, 'pending', () => boot(machine));
    if (verb === 'stop' && machine.isOn && !switching.has(machine)) begin(machine, 'stopping', machine.off);
    return switching.get(machine) ?? (machine.isOn ? 'running' : 'stopped');
  };

  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (bytes) => {
      const [verb = '', ip = ''] = bytes.toString().trim().split(' ');
      const machine = byIp.get(ip);
      socket.end(machine ? answer(verb, machine) : 'unknown');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const argv = (verb: string, ip: string) => ['bash', '-c', ASK, 'bash', String(port), verb, ip];
  return {
    instances: machines.map(({ ip, name }) => ({
      id: name,
      ip,
      status: argv('status', ip),
      start: argv('start', ip),
      stop: argv('stop', ip),
    })),
    bootMs: (ip) => bootMs.get(ip) ?? null,
    async close() {
      server.close();
      await once(server, 'close');
    },
  };
}

/** Looks often, as nobody would who has to pay for it. @returns false where the machine went off before */
async function untilSshSpeaks(machine: Machine): Promise<boolean> {
  while (machine.isOn) {
    const socket = connect(22, machine.ip).setTimeout(SPEAK_MS, () => socket.destroy());
    const hasSpoken = await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true)).once('close', () => resolve(false));
      socket.on('error', () => socket.destroy());
    });
    socket.destroy();
    if (hasSpoken) return true;
    await pause(POLL_MS);
  }
  return false;
}

const POLL_MS = 10;
/** What is lost of an attempt, TCP would repeat only after a second. */
const SPEAK_MS = 200;
