import type { Shell, ShellResult } from '../../contracts.ts';
import type { Ip } from '../../domain/identity.ts';
import { SSH_CODES } from '../../domain/ssh.ts';
import { FleetError } from '../../errors.ts';
import { type Machine, sshOf } from '../simulated-machine.ts';

/** What a command on a simulated host comes to. */
export type HostCommand = (ip: Ip, argv: readonly string[]) => ShellResult;

/** The machines of a simulated cloud, as ssh reaches them. */
export function cloudShell(machineAt: (ip: Ip) => Machine | undefined, command?: HostCommand): Shell {
  function reach(ip: Ip): Machine {
    const machine = machineAt(ip);
    const ssh = machine ? sshOf(machine) : 'timeout';
    if (machine && ssh === 'up') return machine;
    throw new FleetError(SSH_CODES[ssh === 'up' ? 'timeout' : ssh], `${ip} does not answer (simulated)`, { retryable: true });
  }

  return {
    async reachable(ip, signal) {
      signal.throwIfAborted();
      const machine = machineAt(ip);
      return machine ? sshOf(machine) : 'timeout';
    },
    async run(ip, argv, _, signal) {
      signal.throwIfAborted();
      const { id, boots } = reach(ip);
      return command ? command(ip, argv) : { exit: 0, stdout: `${id}-boot-${boots}\n`, stderr: '' };
    },
    async put(ip, _path, _bytes, _mode, signal) {
      signal.throwIfAborted();
      reach(ip);
    },
  };
}
