import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { isThorough } from '../properties/runs.ts';
import { answering, httpServer } from '../support/http-server.ts';
import { requires, startMemcached } from '../support/servers.ts';
import { type CliProcess, startCli } from './cli-process.ts';
import { commandLine, documentsIn, folderWith } from './command-line.ts';
import { oneMachine } from './one-machine.ts';

const daemons: CliProcess[] = [];

function startDaemon(cwd: string, env: Record<string, string> = {}): CliProcess {
  const daemon = startCli(['heartbeat', '--every', '50ms'], { cwd, env });
  daemons.push(daemon);
  return daemon;
}

afterEach(async () => {
  for (const daemon of daemons.splice(0)) {
    daemon.kill('SIGKILL');
    await daemon.ended;
  }
});

/** A daemon in this process; resolves with all that it said once it has said such a text. */
async function daemonUntil(says: RegExp, cwd: string): Promise<string> {
  const over = new AbortController();
  const { exit, stdout } = await commandLine(['heartbeat', '--every', '50ms'], {
    cwd,
    interrupted: over.signal,
    onOutput: (soFar) => says.test(soFar) && over.abort(),
  });
  expect(exit).toBe(0);
  return stdout;
}

const DONE = /"do_action":"start"[^\n]*"status":"done"/;
const WAIT = { timeout: 20_000 };

describe('without a word about its store, a configuration', () => {
  test('keeps what was armed through kills: a question starts nothing, one daemon begins it, the next one ends it', async () => {
    const { cwd, calls, power } = oneMachine();
    const unwaited = await commandLine(['instances', 'start', 'i-1', '--no-wait'], { cwd });
    expect(unwaited).toMatchObject({ exit: 75, stderr: '' });
    expect(existsSync(join(cwd, 'fleetbeat.db'))).toBe(true);
    const asked = await commandLine(['instances', 'actions'], { cwd });
    expect(documentsIn(asked.stdout)).toMatchObject([{ actions: [{ do_action: 'start', status: 'waiting' }] }]);
    expect(calls()).toEqual([]);

    const first = startDaemon(cwd);
    await expect.poll(calls, WAIT).toHaveLength(1);
    first.kill('SIGKILL');
    await first.ended;
    power('running');
    await daemonUntil(DONE, cwd);
    expect(new Set(calls()).size).toBe(1);

    const late = await commandLine(['instances', 'status'], { cwd });
    expect(documentsIn(late.stdout)).toMatchObject([{ instances: [{ 'i-1': { state: 'running' } }] }]);
    expect(documentsIn((await commandLine(['instances', 'actions'], { cwd })).stdout)).toEqual([{ actions: [] }]);
  }, 60_000);

  test.each(['start', 'status'])('refuses a file of something else, and leaves it as it is, also to %s', async (action) => {
    const { cwd } = oneMachine();
    const file = join(cwd, 'fleetbeat.db');
    writeFileSync(file, 'dear diary');
    const { exit, stderr } = await commandLine(['instances', action, 'i-1'], { cwd });
    expect({ exit, stderr }).toEqual({ exit: 64, stderr: expect.stringContaining(`${file} is no store of fleetbeat`) });
    expect(readFileSync(file, 'utf8')).toBe('dear diary');
  });
});

requires('memcached')('a memcached and its journal', () => {
  test.runIf(isThorough)(
    'keep what was armed when memcached comes back empty, and tell of it',
    async () => {
      const server = await startMemcached();
      try {
        const { cwd, calls, power } = oneMachine({ store: { driver: 'memcached', servers: server.address } });
        expect((await commandLine(['instances', 'start', 'i-1', '--no-wait'], { cwd })).exit).toBe(75);
        await server.restart();
        power('running');
        const said = await daemonUntil(DONE, cwd);
        expect(said).toMatch(/"command":"store","return":"ER0228"/);
        expect(existsSync(join(cwd, 'fleetbeat.journal.db'))).toBe(true);
        expect(calls()).toEqual([]);
      } finally {
        await server.stop();
      }
    },
    60_000,
  );
});

describe('an audit log', () => {
  const lines = async (cwd: string, ...args: string[]) =>
    documentsIn((await commandLine(['audit', ...args], { cwd })).stdout) as readonly Record<string, unknown>[];

  test('is one chain, whoever leads: a daemon beside which others ask and arm, and a command after it was killed', async () => {
    const { cwd, calls, power } = oneMachine({ audit: { file: 'audit.jsonl' } });
    const daemon = startDaemon(cwd);
    await daemon.says(/"events":[^\n]*"name":"i-1"/);
    await commandLine(['instances', 'status'], { cwd });
    const beside = await commandLine(['instances', 'start', 'i-1', '--timeout', '100ms'], { cwd });
    expect(beside).toMatchObject({ exit: 75, stderr: '' });
    await expect.poll(calls, WAIT).toHaveLength(1);
    await expect
      .poll(() => lines(cwd, '--entity', 'i-1'), WAIT)
      .toContainEqual(expect.objectContaining({ after: 'dispatching' }));
    const leader = async () => /"epoch":"[^"]+"/.exec((await commandLine(['instances', 'heartbeat'], { cwd })).stdout)?.[0];
    const killed = await leader();
    expect(killed).toBeDefined();
    daemon.kill('SIGKILL');
    await daemon.ended;
    const file = join(cwd, 'audit.jsonl');
    const ending = commandLine(['instances', 'start', 'i-1', '--timeout', '20s'], { cwd });
    await expect.poll(leader, WAIT).not.toBe(killed);
    power('running');
    expect(await ending).toMatchObject({ exit: 0, stderr: '' });
    expect(existsSync(`${file}.lock`)).toBe(false);

    const verified = await commandLine(['audit', '--verify'], { cwd });
    expect(verified.exit).toBe(0);
    const all = await lines(cwd);
    expect(JSON.parse(verified.stdout)).toMatchObject({ lines: all.length, broken: null });
    expect(all.filter(({ what }) => what === 'appeared')).toHaveLength(1);
    expect(all.map(({ after }) => after)).toEqual(
      expect.arrayContaining(['stopped', 'waiting', 'dispatching', 'ssh-up', 'done']),
    );
    expect(all.every(({ who }) => who === 'own' || /^.+@.+$/.test(String(who)))).toBe(true);

    writeFileSync(file, readFileSync(file, 'utf8').replace('"after":"dispatching"', '"after":"cancelled"'));
    const tampered = await commandLine(['audit', '--verify'], { cwd });
    expect(tampered.exit).toBe(1);
    expect(JSON.parse(tampered.stdout)).toMatchObject({ broken: { file, reason: 'it is not as it was written' } });
  }, 60_000);

  test('has what a command armed and left to others, and none of what a question found', async () => {
    const { cwd, power } = oneMachine({ audit: { file: 'audit.jsonl' } });
    await commandLine(['instances', 'status'], { cwd });
    await commandLine(['instances', 'start', 'i-1', '--no-wait'], { cwd });
    const before = await lines(cwd);
    await commandLine(['instances', 'actions'], { cwd });
    expect(await lines(cwd)).toEqual(before);
    power('running');
    await daemonUntil(DONE, cwd);
    const states = (await lines(cwd)).filter(({ action }) => action !== null).map(({ after }) => after);
    expect(states[0]).toBe('waiting');
    expect(states.at(-1)).toBe('done');
  });

  test('is one chain when several fleets lead at once, each on a store of its own', async () => {
    const instances = [{ id: 'i-1', ip: '10.0.0.102', state: 'stopped' }];
    const cwd = folderWith({
      clouds: { sim: { driver: 'simulated', active: true, speed: 1000, instances } },
      beatEvery: '20ms',
      audit: { file: 'audit.jsonl', maxBytes: 4096 },
    });
    const ended = await Promise.all([1, 2, 3].map(() => commandLine(['instances', 'start', 'i-1'], { cwd })));
    expect(ended.map(({ exit, stderr }) => ({ exit, stderr }))).toEqual(Array(3).fill({ exit: 0, stderr: '' }));
    expect((await commandLine(['audit', '--verify'], { cwd })).exit).toBe(0);
    expect((await lines(cwd)).filter(({ after }) => after === 'done')).toHaveLength(3);
  });

  test('that cannot be written is told, and holds nothing up', async () => {
    const { cwd, power } = oneMachine({ audit: { file: 'nowhere/audit.jsonl' } });
    power('running');
    const { exit, stderr } = await commandLine(['instances', 'status'], { cwd });
    expect(exit).toBe(0);
    expect(stderr).toMatch(/^fleetbeat: audit: .*1 lines are not in .*audit\.jsonl: .*ENOENT/);
  });

  test('that nobody has named is asked for', async () => {
    const { exit, stderr } = await commandLine(['audit'], { cwd: oneMachine().cwd });
    expect(exit).toBe(64);
    expect(stderr).toContain('audit: found nothing, allowed: the file of a log, or --file');
  });
});

describe('doctors', () => {
  const SECRET = 'a secret of the daemon alone';

  test('are told by the daemon, also of what a question saw; what one does not take is parked, and tried again on demand', async () => {
    const server = await httpServer(answering(503, 400, 204));
    try {
      const { cwd, power } = oneMachine({
        doctors: [
          { name: 'log', script: ['/bin/sh', '-c', 'cat >> told; echo "$TEAM" >> told'], env: { TEAM: 'db' } },
          { name: 'ops', webhook: `${server.url}/hook`, secret: { env: 'OPS_SECRET' } },
        ],
      });
      const seen = await commandLine(['instances', 'status'], { cwd });
      expect(seen).toMatchObject({ exit: 0, stderr: '' });
      expect(existsSync(join(cwd, 'told'))).toBe(false);

      const daemon = startDaemon(cwd, { OPS_SECRET: SECRET });
      await daemon.says(/"doctors\/ops"[^\n]*is parked/);
      const told = () => (existsSync(join(cwd, 'told')) ? readFileSync(join(cwd, 'told'), 'utf8') : '');
      await expect.poll(told, WAIT).toMatch(/"events":\[.*"i-1".*\]\}\ndb\n$/s);
      expect(server.received.map(({ headers }) => headers['webhook-id'])).toHaveLength(2);

      const parked = await commandLine(['doctors', 'parked'], { cwd });
      const [answer] = documentsIn(parked.stdout) as readonly { readonly parked: readonly { readonly id: string }[] }[];
      expect(answer?.parked).toMatchObject([{ doctor: 'ops', attempts: 2, code: 'ER0221', keys: ['instances/own/i-1'] }]);
      expect((await commandLine(['doctors', 'parked'], { cwd, columns: 200 })).stdout).toMatch(/ops:.*instances\/own\/i-1/);
      const again = await commandLine(['doctors', 'redeliver', answer?.parked[0]?.id ?? ''], { cwd });
      expect(again.exit).toBe(0);
      power('running');
      await expect.poll(() => server.received.length, WAIT).toBe(4);
      expect(new Set(server.received.slice(0, 3).map(({ headers }) => headers['webhook-id'])).size).toBe(1);
      expect(server.received[3]?.body).toContain('"state":"running"');
      expect(server.received.every(({ headers }) => String(headers['webhook-signature']).startsWith('v1,'))).toBe(true);

      const gone = await commandLine(['doctors', 'dismiss', 'ops:none'], { cwd });
      expect(gone.exit).toBe(1);
      expect(documentsIn(gone.stdout)).toMatchObject([{ return: { code: 'ER0205' }, question: { level: 'doctors' } }]);
      daemon.kill('SIGINT');
      expect(await daemon.ended).toMatchObject({ exit: 0, stderr: '' });
    } finally {
      await server.close();
    }
  }, 60_000);

  test('whose secret is not set keep the daemon from starting, and nobody from asking', async () => {
    const { cwd } = oneMachine({ doctors: [{ name: 'ops', webhook: 'https://127.0.0.1/', secret: { env: 'OPS_SECRET' } }] });
    const { exit, stderr } = await commandLine(['heartbeat'], { cwd });
    expect({ exit, stderr }).toEqual({
      exit: 64,
      stderr: expect.stringContaining('doctors[0].secret.env: found the variable OPS_SECRET, which is not set'),
    });
    expect((await commandLine(['instances', 'status'], { cwd })).exit).toBe(0);
  });
});
