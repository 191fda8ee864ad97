import { type AnyServiceKind, defineServiceKind, type Shell } from '../../src/contracts.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import { asInstant } from '../../src/domain/identity.ts';
import type { Service, ServiceFacts } from '../../src/domain/service.ts';
import { FleetError } from '../../src/errors.ts';
import { converse } from './memcache/conversation.ts';
import { INSTALL, LOOK, REMOVE, SCRIPT_MS, STOP, UP } from './memcache/scripts.ts';
import { dataDirOf, type MemcacheSettings, readSettings } from './memcache/settings.ts';

export type { MemcacheSettings } from './memcache/settings.ts';

/** How long a server may take for one conversation of five lines. */
const CONVERSATION_MS = 2000;

type Memcache = Service<MemcacheSettings>;

/**
 * The service kind of mode `memcache`: a memcached of the host, in a directory of its own.
 *
 * It is up when it keeps and returns a value. Only where nobody listens on its port is the host itself asked, over the shell,
 * whether it is stopped or not installed; where the host cannot be asked, the probe rejects and the service is unknown.
 * Its `runId` is its pid and the second at which it started.
 *
 * @example
 * ```ts
 * createFleet({
 *   kinds: [memcache()],
 *   services: [{ name: 'nosql1', ip: '10.0.0.103', mode: 'memcache', status: 'standalone', settings: { memoryMb: 512 } }],
 *   …
 * });
 * ```
 */
export const memcache = (): AnyServiceKind =>
  defineServiceKind<MemcacheSettings>({
    mode: 'memcache',
    host: 'managed',
    ladder: ['installed', 'up'],
    settings: readSettings,

    async probe(of, shell, signal) {
      const answer = await converse(of.ip, of.settings.port, CONVERSATION_MS, signal);
      switch (answer.kind) {
        case 'sound':
          return { ...seen(of), code: '000000', holds: { installed: true, up: true }, runId: answer.runId };
        case 'unsound':
          return { ...seen(of), code: 'ER0005', holds: { up: false }, reason: answer.reason };
        case 'refused':
          return { ...seen(of), ...(await lookAt(of, shell, signal)) };
        default:
          return answer satisfies never;
      }
    },

    steps: {
      async installed(of, shell, _permit, signal) {
        await must('install', of, shell, INSTALL, [of.settings.binary, of.settings.user], signal);
      },
      async up(of, shell, _permit, signal) {
        const { binary, user, port, memoryMb } = of.settings;
        const address = of.ip.includes(':') ? `[${of.ip}]` : of.ip;
        await must('start', of, shell, UP, [binary, user, address, String(port), String(memoryMb)], signal);
      },
      async stop(of, shell, _permit, signal) {
        await must('stop', of, shell, STOP, [], signal);
      },
      async remove(of, shell, permit, signal) {
        await must('stop', of, shell, STOP, [], signal);
        if (!permit.valid()) throw new FleetError('ER0217', `the permit ended before ${of.name} was removed`);
        await must('remove', of, shell, REMOVE, [], signal);
      },
    },
  });

/** The driver puts the instant of its reading in place of ours. */
const seen = ({ name }: Memcache): Pick<ServiceFacts, 'name' | 'readAt'> => ({ name, readAt: asInstant(Date.now()) });

async function lookAt(of: Memcache, shell: Shell, signal: AbortSignal): Promise<Omit<ServiceFacts, 'name' | 'readAt'>> {
  const state = (await must('look at', of, shell, LOOK, [], signal)).trim();
  if (state === 'uninstalled') return { code: 'ER0024', holds: { installed: false, up: false } };
  if (state === 'stopped') return { code: 'ER0023', holds: { installed: true, up: false } };
  const reason = `it is ${excerpt(state)}, yet refuses connections to port ${of.settings.port}`;
  return { code: 'ER0005', holds: { installed: true, up: false }, reason };
}

/** Runs a script on the service's host and gives what it wrote. */
async function must(
  verb: string,
  of: Memcache,
  shell: Shell,
  script: string,
  words: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const argv = ['sh', '-c', script, 'sh', dataDirOf(of), of.name, ...words];
  const { exit, stdout, stderr } = await shell.run(of.ip, argv, { deadlineMs: SCRIPT_MS }, signal);
  if (exit === 0) return stdout;
  throw new FleetError('ER0018', `to ${verb} ${of.name} on ${of.ip} ended with ${exit}: ${excerpt(stderr)}`, { retryable: true });
}
