import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalInstance, local } from 'fleetbeat/adapters/local';
import { driverContract } from 'fleetbeat/testing';
import { afterAll, describe, expect, test } from 'vitest';
import type { PermittedCall } from '../../src/contracts.ts';
import { asInstant, asToken, instanceKey, parseIp, type Token } from '../../src/domain/identity.ts';
import { type InstanceVerb, POWERS } from '../../src/domain/instance.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-local-'));
afterAll(() => rmSync(folder, { recursive: true }));

const never = new AbortController().signal;
const want = { now: asInstant(1000), maxAgeMs: 0 };

/** A machine whose power is a word in a file, and whose log tells how often it was switched. */
function machine(ip: string, power: string) {
  const path = mkdtempSync(join(folder, 'machine-'));
  const word = join(path, 'power');
  const log = join(path, 'log');
  writeFileSync(word, power);
  writeFileSync(log, '');
  const turn = (to: string) => ['sh', '-c', 'echo "$1" > "$2"; echo "$1" >> "$3"', 'sh', to, word, log];
  const instance: LocalInstance = { ip, status: ['cat', word], start: turn('running'), stop: turn('stopped') };
  return { instance, switched: () => readFileSync(log, 'utf8').split('\n').slice(0, -1), unplug: () => rmSync(word) };
}

function callTo(ip: string, verb: InstanceVerb, token = 't1', valid = true): PermittedCall {
  const address = parseIp(ip);
  if (!address) throw new TypeError(ip);
  return {
    call: { do: { level: 'instances', subject: { ip: address }, verb } },
    permit: { token: asToken(token), fence: 1, valid: () => valid },
  };
}

const powers = async (...instances: readonly LocalInstance[]) => {
  const { items, problems } = await local({ instances, deadlineMs: 500 }).observe(want, never);
  return { powers: items.map(({ power }) => power?.state), problems };
};

describe('the local cloud keeps the contract of a driver', () => {
  for (const { name, run } of driverContract) {
    test(name, () =>
      run(async () => {
        const off = machine('10.0.0.1', 'stopped');
        const on = machine('10.0.0.2', 'running');
        const counted = new Map<Token, () => number>();
        const driver = local({ instances: [off.instance, on.instance] });
        let now = 0;
        return {
          driver: {
            ...driver,
            perform(calls, signal) {
              for (const { call, permit } of calls) {
                const target = call.do.level === 'instances' && 'ip' in call.do.subject ? call.do.subject.ip : '';
                counted.set(permit.token, () => (target === '10.0.0.1' ? off : on).switched().length);
              }
              return driver.perform(calls, signal);
            },
          },
          now: () => asInstant(now),
          advance: (ms) => {
            now += ms;
          },
          subjects: {
            legal: [callTo('10.0.0.1', 'start').call, callTo('10.0.0.2', 'stop').call],
            unknown: callTo('10.0.0.9', 'start').call,
          },
          applied: (token) => counted.get(token)?.() ?? 0,
          failOne: on.unplug,
        };
      }),
    );
  }
});

describe('the local cloud', () => {
  test('lists what is configured, with ids that stay, and says that it runs where no command says more', async () => {
    const driver = local({ name: 'lab', instances: [{ ip: '10.0.0.1' }, { ip: '::1', id: 'six' }] });
    expect(await driver.observe(want, never)).toEqual({
      items: [
        { cloud: 'lab', id: 'local-10.0.0.1', ip: '10.0.0.1', readAt: 1000, power: { state: 'running', raw: 'configured' } },
        { cloud: 'lab', id: 'six', ip: '::1', readAt: 1000, power: { state: 'running', raw: 'configured' } },
      ],
      readAt: 1000,
      complete: true,
      problems: [],
    });
  });

  test('reads every word of power from a status command', async () => {
    const instances = POWERS.map((word, i) => ({ ip: `10.0.0.${i + 1}`, status: ['echo', `${word} since monday`] }));
    expect(await powers(...instances)).toEqual({ powers: [...POWERS], problems: [] });
  });

  test('reads exit codes as systemctl status means them where no word of power is written', async () => {
    const status = (exit: number) => ['sh', '-c', `echo active; echo because >&2; exit ${exit}`];
    const read = await powers(
      { ip: '10.0.0.1', status: status(0) },
      { ip: '10.0.0.2', status: status(3) },
      { ip: '10.0.0.3', status: status(4) },
    );
    expect(read.powers).toEqual(['running', 'stopped', 'unknown']);
    expect(read.problems).toEqual([
      { subject: 'local-10.0.0.3', code: 'ER0018', message: expect.stringContaining('4: because') },
    ]);
  });

  test('tells of a command that hangs or does not exist, and of the others as ever', async () => {
    const pids = join(folder, 'hanging');
    const read = await powers(
      { ip: '10.0.0.1', status: ['sh', '-c', 'sleep 600 & echo $! > "$1"; wait', 'sh', pids] },
      { ip: '10.0.0.2', status: ['/nowhere/at/all'] },
      { ip: '10.0.0.3', status: ['echo', 'stopped'] },
    );
    expect(read.powers).toEqual(['unknown', 'unknown', 'stopped']);
    expect(read.problems.map(({ subject, code }) => [subject, code])).toEqual([
      ['local-10.0.0.1', 'ER0212'],
      ['local-10.0.0.2', 'ER0018'],
    ]);
    // What the command had started is killed with it.
    while (existsSync(`/proc/${readFileSync(pids, 'utf8').trim()}/exe`)) await new Promise(setImmediate);
  });

  test('is not held up by a daemon that keeps the pipes of its command', async () => {
    expect(await powers({ ip: '10.0.0.1', status: ['sh', '-c', 'sleep 3 & echo running'] })).toEqual({
      powers: ['running'],
      problems: [],
    });
  });

  test('gives words of a configuration to no shell', async () => {
    const bait = join(folder, 'bait');
    await powers({ ip: '10.0.0.1', status: ['echo', `running; touch ${bait}`, `$(touch ${bait})`] });
    expect(existsSync(bait)).toBe(false);
  });

  test('switches power by ip and by key, and answers in order', async () => {
    const [one, two] = [machine('10.0.0.1', 'stopped'), machine('10.0.0.2', 'running')];
    const driver = local({ instances: [one.instance, two.instance] });
    const byKey: PermittedCall = {
      ...callTo('10.0.0.2', 'stop', 't2'),
      call: { do: { level: 'instances', subject: { key: instanceKey('local', 'local-10.0.0.2') }, verb: 'stop' } },
    };
    expect(await driver.perform([callTo('10.0.0.1', 'start'), byKey], never)).toEqual([null, null]);
    expect((await driver.observe(want, never)).items.map(({ power }) => power?.state)).toEqual(['running', 'stopped']);
  });

  test('runs a command once for a token, and again for the same token only where it has failed', async () => {
    const log = join(folder, 'attempts');
    writeFileSync(log, '');
    const start = ['sh', '-c', 'echo try >> "$1"; [ "$(wc -l < "$1")" -ge 2 ] || { echo "not yet\x07" >&2; exit 7; }', 'sh', log];
    const driver = local({ instances: [{ ip: '10.0.0.1', start }] });
    const call = () => driver.perform([callTo('10.0.0.1', 'start')], never);
    expect(await call()).toEqual([{ subject: 'local-10.0.0.1', code: 'ER0018', message: 'sh ended with 7: not yet' }]);
    expect(await call()).toEqual([null]);
    expect(await call()).toEqual([null]);
    expect(readFileSync(log, 'utf8')).toBe('try\ntry\n');
  });

  test.each<InstanceVerb>(['launch', 'terminate', 'reboot', 'bootstrap'])('has no way to %s', async (verb) => {
    const driver = local({ instances: [machine('10.0.0.1', 'running').instance] });
    expect(await driver.perform([callTo('10.0.0.1', verb)], never)).toMatchObject([{ code: 'ER0229' }]);
  });

  test('has no way to start what is configured without a command', async () => {
    expect(await local({ instances: [{ ip: '10.0.0.1' }] }).perform([callTo('10.0.0.1', 'start')], never)).toMatchObject([
      { subject: 'local-10.0.0.1', code: 'ER0229' },
    ]);
  });

  test.each([
    ['no ip', [{ ip: 'node1' }]],
    ['an ip twice', [{ ip: '10.0.0.1' }, { ip: '10.0.0.1', id: 'b' }]],
    [
      'an id twice',
      [
        { ip: '10.0.0.1', id: 'a' },
        { ip: '10.0.0.2', id: 'a' },
      ],
    ],
    ['an id of a stranger', [{ ip: '10.0.0.1', id: '__proto__' }]],
    ['a command without a program', [{ ip: '10.0.0.1', start: [] }]],
  ])('is not made of %s', (_, instances) => {
    expect(() => local({ instances })).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });
});
