import { memory } from 'fleetbeat/adapters/memory';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  type AnyServiceKind,
  defineServiceKind,
  type Neighbours,
  type PermittedCall,
  type ServiceKind,
  type ServiceStep,
  type Shell,
} from '../../src/contracts.ts';
import { asInstant, asToken, type Ip, parseIp, serviceKey } from '../../src/domain/identity.ts';
import type { Service, ServiceFacts, ServiceVerb } from '../../src/domain/service.ts';
import { type OverShellOptions, overShell } from '../../src/drivers/over-shell.ts';
import { FleetError } from '../../src/errors.ts';
import { createFleet } from '../../src/fleet.ts';

const never = new AbortController().signal;
const want = { now: asInstant(1000), maxAgeMs: 0 };

const shell: Shell = {
  reachable: async () => 'up',
  run: async () => ({ exit: 0, stdout: '', stderr: '' }),
  put: async () => {},
};

function asIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(text);
  return ip;
}

const serviceOf = (name: string, mode = 'toy'): Service => ({
  name,
  ip: asIp('10.0.0.1'),
  mode,
  status: 'standalone',
  settings: {},
});

function callTo(
  name: string,
  what: ServiceVerb | { readonly step: ServiceStep },
  token: string = crypto.randomUUID(),
  valid = () => true,
): PermittedCall {
  const verb = typeof what === 'string' ? what : 'start';
  return {
    call: { do: { level: 'services', name, verb }, ...(typeof what === 'object' && what) },
    permit: { token: asToken(token), fence: 1, valid },
  };
}

const upFacts = ({ name }: { readonly name: string }): ServiceFacts => ({
  name,
  readAt: asInstant(0),
  code: '000000',
  holds: { up: true },
});

/** A kind whose steps are written down as they begin and end. */
function toy(over: Partial<ServiceKind<object>> = {}): { readonly kind: AnyServiceKind; readonly log: string[] } {
  const log: string[] = [];
  const step = (name: string) => async (of: { readonly name: string }) => {
    log.push(`${of.name} ${name} begins`);
    await new Promise(setImmediate);
    log.push(`${of.name} ${name} ends`);
  };
  const kind = defineServiceKind<object>({
    mode: 'toy',
    host: 'ssh-up',
    ladder: ['installed', 'up'],
    settings: () => ({}),
    probe: async (of) => upFacts(of),
    steps: { installed: step('installed'), up: step('up'), stop: step('stop'), remove: step('remove') },
    ...over,
  });
  return { kind, log };
}

function open(kind: AnyServiceKind, names: readonly string[], options?: OverShellOptions) {
  const driver = overShell([kind], shell, options);
  driver.bind?.(names.map((name) => serviceOf(name)));
  return driver;
}

const ended = (log: readonly string[]) => log.filter((line) => line.endsWith('ends')).map((line) => line.replace(' ends', ''));

describe('a reading of services over a shell', () => {
  test('has what each probe saw, dated with the instant of the reading', async () => {
    const reading = await open(toy().kind, ['a', 'b']).observe(want, never);
    expect(reading).toEqual({
      items: ['a', 'b'].map((name) => ({ name, readAt: 1000, code: '000000', holds: { up: true } })),
      readAt: 1000,
      complete: true,
      problems: [],
    });
  });

  test('says nothing of absence before it has been told what is configured', async () => {
    expect(await overShell([toy().kind], shell).observe(want, never)).toMatchObject({ items: [], complete: false });
  });

  test('has a service whose probe failed as unknown, with the reason, and the others as ever', async () => {
    const { kind } = toy({
      probe: async (of) => {
        if (of.name === 'b') throw new FleetError('ER0241', '10.0.0.1 is away\u001b[2J');
        return upFacts(of);
      },
    });
    const { items } = await open(kind, ['a', 'b', 'c']).observe(want, never);
    expect(items.map(({ code }) => code)).toEqual(['000000', 'ER0200', '000000']);
    expect(items[1]).toEqual({
      name: 'b',
      readAt: 1000,
      code: 'ER0200',
      holds: {},
      reason: 'ssh timeout: 10.0.0.1 is away\\u001b[2J',
    });
  });

  test('is not held up by a probe that hangs and heeds no signal', async () => {
    const { kind } = toy({ probe: (of) => (of.name === 'a' ? new Promise(() => {}) : Promise.resolve(upFacts(of))) });
    const { items } = await open(kind, ['a', 'b'], { deadlineMs: 30 }).observe(want, never);
    expect(items).toMatchObject([{ code: 'ER0200', reason: expect.stringContaining('30 ms') }, { code: '000000' }]);
  });

  test('holds up one reading where it hangs, and the next ones have its word once it is there', async () => {
    let hangs = true;
    const { kind } = toy({ probe: (of) => (hangs && of.name === 'a' ? new Promise(() => {}) : Promise.resolve(upFacts(of))) });
    const driver = open(kind, ['a', 'b'], { deadlineMs: 1200 });
    const read = async () => (await driver.observe(want, never)).items.map(({ name, code }) => `${name} ${code}`);
    expect(await read()).toEqual(['a ER0200', 'b 000000']);

    const from = performance.now();
    expect(await read()).toEqual(['b 000000']);
    expect(performance.now() - from).toBeLessThan(1000);
    await expect.poll(read).toEqual(['a ER0200', 'b 000000']);

    hangs = false;
    await expect.poll(read).toEqual(['a 000000', 'b 000000']);
  });

  describe('that waits for a service only for a while', () => {
    const names = async (reading: ReturnType<typeof read>) => (await reading).items.map(({ name }) => name);
    let answer: () => void;
    let driver: ReturnType<typeof open>;
    const read = () => driver.observe({ ...want, waitMs: 30 }, never);
    beforeEach(() => {
      const { kind } = toy({
        probe: async (of) => {
          if (of.name === 'slow') await new Promise<void>((resolve) => (answer = resolve));
          return upFacts(of);
        },
      });
      driver = open(kind, ['slow', 'fast'], { deadlineMs: 60_000 });
    });

    test('has no word of one that is late, and there is news once it has answered', async () => {
      let news = 0;
      const deafen = driver.onNews?.(() => news++);
      expect(await names(read())).toEqual(['fast']);
      expect(await names(read())).toEqual(['fast']);
      expect(news).toBe(0);
      answer();
      await expect.poll(() => news).toBe(1);
      deafen?.();
    });

    test('waits for one that was late until it answers: it would never be told of if it always is', async () => {
      let news = 0;
      driver.onNews?.(() => news++);
      expect(await names(read())).toEqual(['fast']);
      answer();
      await expect.poll(() => news).toBe(1);
      const reading = read();
      setTimeout(() => answer(), 100);
      expect(await names(reading)).toEqual(['slow', 'fast']);
    });

    test('ends with its signal', async () => {
      const end = new AbortController();
      const reading = driver.observe({ ...want, waitMs: 60_000 }, end.signal);
      end.abort(new Error('enough'));
      await expect(reading).rejects.toThrow('enough');
    });
  });

  test('is there in time however many hang', async () => {
    const { kind } = toy({ probe: () => new Promise(() => {}) });
    const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
    const { items } = await open(kind, names, { deadlineMs: 60_000, totalMs: 50, parallel: 2 }).observe(want, never);
    expect(items.map(({ code }) => code)).toEqual(names.map(() => 'ER0200'));
  });
});

describe('a call to a service over a shell', () => {
  test.each<[ServiceVerb, string]>([
    ['install', 'installed'],
    ['start', 'up'],
    ['stop', 'stop'],
    ['remove', 'remove'],
  ])('to %s is the step %s of its kind', async (verb, step) => {
    const { kind, log } = toy();
    expect(await open(kind, ['a']).perform([callTo('a', verb)], never)).toEqual([null]);
    expect(ended(log)).toEqual([`a ${step}`]);
  });

  test('that names a step is that step, whatever its verb', async () => {
    const { kind, log } = toy();
    await open(kind, ['a']).perform([callTo('a', { step: 'installed' })], never);
    expect(ended(log)).toEqual(['a installed']);
  });

  test('to restart is stop and then up where its kind has no step for it', async () => {
    const { kind, log } = toy();
    await open(kind, ['a']).perform([callTo('a', 'restart')], never);
    expect(ended(log)).toEqual(['a stop', 'a up']);
  });

  test('to restart is its own step where its kind has one', async () => {
    let restarts = 0;
    const { kind, log } = toy();
    const own = { ...kind, steps: { ...kind.steps, restart: async () => void restarts++ } };
    await open(own, ['a']).perform([callTo('a', 'restart')], never);
    expect([restarts, ended(log)]).toEqual([1, []]);
  });

  test('does not start after its stop once the permit has ended', async () => {
    const { kind, log } = toy();
    const answers = await open(kind, ['a']).perform([callTo('a', 'restart', 't', () => log.length === 0)], never);
    expect(answers).toMatchObject([{ subject: 'a', code: 'ER0217' }]);
    expect(ended(log)).toEqual(['a stop']);
  });

  test('runs beside those of other services, but after the earlier ones of its own', async () => {
    const { kind, log } = toy();
    await open(kind, ['a', 'b']).perform([callTo('a', 'install'), callTo('b', 'stop'), callTo('a', 'start')], never);
    expect(log.filter((line) => line.startsWith('a'))).toEqual([
      'a installed begins',
      'a installed ends',
      'a up begins',
      'a up ends',
    ]);
    expect(log.indexOf('b stop begins')).toBeLessThan(log.indexOf('a installed ends'));
  });

  test.each<[string, PermittedCall, string]>([
    ['a step that its kind does not have', callTo('a', 'sync'), 'ER0202'],
    ['a service that is not configured', callTo('nobody', 'start'), 'ER0205'],
    ['a name that means something to objects', callTo('__proto__', 'start'), 'ER0205'],
    [
      'an instance',
      { ...callTo('a', 'start'), call: { do: { level: 'instances', subject: { ip: asIp('10.0.0.1') }, verb: 'start' } } },
      'ER0229',
    ],
  ])('about %s is a problem', async (_, call, code) => {
    const { kind, log } = toy();
    expect(await open(kind, ['a']).perform([call, callTo('a', 'stop')], never)).toMatchObject([{ code }, null]);
    expect(ended(log)).toEqual(['a stop']);
  });

  test('that fails tells the code and the reason of its step', async () => {
    const fail = async () => {
      throw new FleetError('ER0018', 'the disk is full');
    };
    const { kind } = toy({ steps: { up: fail, stop: () => Promise.reject(new TypeError('a defect')) } });
    expect(await open(kind, ['a', 'b']).perform([callTo('a', 'start'), callTo('b', 'stop')], never)).toEqual([
      { subject: 'a', code: 'ER0018', message: 'a: the disk is full' },
      { subject: 'b', code: 'ER0220', message: 'b: a defect' },
    ]);
  });

  test('is given up with its signal, even where its step does not heed it', async () => {
    const caller = new AbortController();
    const { kind } = toy({ steps: { up: () => new Promise(() => {}) } });
    const work = open(kind, ['a']).perform([callTo('a', 'start')], caller.signal);
    caller.abort(new Error('enough'));
    await expect(work).rejects.toThrow('enough');
  });

  describe('that comes twice under one token', () => {
    test('restarts once', async () => {
      const { kind, log } = toy();
      const driver = open(kind, ['a']);
      const call = callTo('a', 'restart');
      expect(await driver.perform([call, call], never)).toEqual([null, null]);
      expect(await driver.perform([call], never)).toEqual([null]);
      expect(ended(log)).toEqual(['a stop', 'a up']);
    });

    test('climbs a rung again, which may have been lost', async () => {
      const { kind, log } = toy();
      const driver = open(kind, ['a']);
      const call = callTo('a', 'start');
      await driver.perform([call], never);
      await driver.perform([call], never);
      expect(ended(log)).toEqual(['a up', 'a up']);
    });

    test('does not undo what another token has done meanwhile', async () => {
      const { kind, log } = toy();
      const driver = open(kind, ['a']);
      const start = callTo('a', 'start');
      await driver.perform([start], never);
      await driver.perform([callTo('a', 'stop')], never);
      expect(await driver.perform([start], never)).toEqual([null]);
      expect(ended(log)).toEqual(['a up', 'a stop']);
    });

    test('is done again where it failed', async () => {
      let tries = 0;
      const { kind } = toy({
        steps: {
          restart: async () => {
            if (++tries === 1) throw new FleetError('ER0018', 'not yet');
          },
        },
      });
      const driver = open(kind, ['a']);
      const call = callTo('a', 'restart');
      expect(await driver.perform([call], never)).toMatchObject([{ code: 'ER0018' }]);
      expect(await driver.perform([call], never)).toEqual([null]);
      expect(tries).toBe(2);
    });
  });
});

describe('what a kind is told of the rest of the fleet', () => {
  test('is the services that the driver is bound to, in its probe and in every step', async () => {
    const told: (readonly string[])[] = [];
    const namesOf = (among: Neighbours) => void told.push(among.services().map(({ name }) => name));
    const { kind } = toy({
      probe: async (of, _shell, _signal, among) => {
        namesOf(among);
        return upFacts(of);
      },
      steps: { up: async (_of, _shell, _permit, _signal, among) => namesOf(among) },
    });
    const driver = open(kind, ['a', 'b']);
    await driver.perform([callTo('a', 'start')], never);
    await driver.observe(want, never);
    expect(told).toEqual(Array(3).fill(['a', 'b']));
  });

  test('is what the fleet believes, where a fleet has bound it', async () => {
    const found: unknown[] = [];
    const { kind } = toy({
      probe: async (of, _shell, _signal, among) => {
        found.push(of.name, among.view(serviceKey('b'))?.state);
        return upFacts(of);
      },
    });
    const driver = overShell([kind], shell);
    const services = ['a', 'b'].map((name) => ({ name, ip: '10.0.0.1', mode: 'toy', status: 'standalone' }) as const);
    await using fleet = createFleet({ kinds: [kind], services, drivers: { services: [driver] }, store: memory() });
    await fleet.beat();
    await fleet.beat();
    expect(found).toEqual(['a', 'unknown', 'b', 'unknown', 'a', 'up', 'b', 'up']);
  });
});

test('a service of a mode that no kind has is refused with the modes that are known', () => {
  const driver = overShell([toy().kind], shell);
  expect(() => driver.bind?.([serviceOf('a', 'cassandra')])).toThrow(
    expect.objectContaining({ code: 'ER0204', message: expect.stringContaining('toy') }),
  );
});

test('two kinds of one mode are refused', () => {
  expect(() => overShell([toy().kind, toy().kind], shell)).toThrow(expect.objectContaining({ code: 'ER0230' }));
});
