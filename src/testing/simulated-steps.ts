import type { ServiceStep } from '../contracts.ts';
import type { Agenda } from './simulated-agenda.ts';
import type { FaultSource } from './simulated-faults.ts';
import type { DrawMs } from './simulated-latency.ts';
import type { Server, ServerState } from './simulated-server.ts';

export type Answer = 'applied' | 'held' | { readonly refused: string };

/** What can be done to servers, each step ending after its delay, and what befalls them. */
export interface ServerSteps extends Readonly<Record<ServiceStep, (server: Server) => Answer>> {
  /** Its process ends at once. */
  kill(server: Server): void;
  /** Its process runs on but answers nobody. */
  hang(server: Server): void;
  /** Its disk is gone. */
  wipe(server: Server): void;
  /** Goes on from a state in which the server was configured to be. */
  resume(server: Server): void;
}

export function createServerSteps(world: {
  readonly agenda: Agenda;
  readonly drawMs: DrawMs;
  readonly faults: FaultSource;
  /** Whether what a rung stands on holds, such as `up` for `replicating`. */
  readonly isReadyFor: (server: Server, rung: 'replicating' | 'routed') => boolean;
}): ServerSteps {
  const { agenda, drawMs, faults } = world;

  function begin(server: Server, step: Exclude<ServiceStep, 'configure'>, end: () => void): 'applied' | 'held' {
    if (server.doing === step) return 'held';
    server.callOff();
    server.doing = step;
    server.callOff = agenda.after(drawMs(step === 'restart' ? 'up' : step), () => {
      server.doing = null;
      end();
    });
    return 'applied';
  }

  function fall(server: Server, state: ServerState): void {
    server.callOff();
    server.doing = null;
    server.replicates = false;
    server.isListed = false;
    server.state = state;
  }

  function start(server: Server, step: 'up' | 'restart'): 'applied' | 'held' {
    fall(server, 'starting');
    server.starts++;
    const thisStart = server.starts;
    return begin(server, step, () => {
      server.state = 'up';
      if (!faults.strikes('serviceCrash')) return;
      agenda.after(drawMs('crash'), () => {
        if (server.starts === thisStart && server.state === 'up') kill(server);
      });
    });
  }

  const kill = (server: Server) => fall(server, server.state === 'uninstalled' ? 'uninstalled' : 'stopped');

  function stop(server: Server): 'applied' | 'held' {
    fall(server, 'stopping');
    return begin(server, 'stop', () => {
      server.state = 'stopped';
    });
  }

  const refused = (server: Server) => ({ refused: `${server.name} is ${server.state}` });

  return {
    installed: (server) =>
      server.state !== 'uninstalled'
        ? 'held'
        : begin(server, 'installed', () => {
            server.state = 'stopped';
          }),
    up(server) {
      if (server.state === 'up' || server.state === 'starting') return 'held';
      return server.state === 'stopped' || server.state === 'failing' ? start(server, 'up') : refused(server);
    },
    replicating(server) {
      if (server.replicates) return 'held';
      if (!world.isReadyFor(server, 'replicating')) return refused(server);
      return begin(server, 'replicating', () => {
        server.replicates = true;
      });
    },
    routed(server) {
      if (server.isListed) return 'held';
      if (!world.isReadyFor(server, 'routed')) return refused(server);
      return begin(server, 'routed', () => {
        server.isListed = true;
      });
    },
    stop(server) {
      const isDown = server.state === 'stopped' || server.state === 'stopping' || server.state === 'uninstalled';
      return isDown ? 'held' : stop(server);
    },
    remove(server) {
      if (server.state === 'uninstalled' || server.doing === 'remove') return 'held';
      fall(server, 'stopping');
      return begin(server, 'remove', () => {
        server.state = 'uninstalled';
      });
    },
    restart: (server) => (server.state === 'uninstalled' ? refused(server) : start(server, 'restart')),
    configure: (server) => (server.state === 'uninstalled' ? refused(server) : 'applied'),
    kill,
    hang(server) {
      if (server.state === 'up' || server.state === 'starting') fall(server, 'failing');
    },
    wipe: (server) => fall(server, 'uninstalled'),
    resume(server) {
      if (server.state === 'starting') start(server, 'up');
      if (server.state === 'stopping') stop(server);
    },
  };
}
