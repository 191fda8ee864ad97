import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scriptDoctor } from 'fleetbeat/adapters/doctors/script';
import { doctorWire } from 'fleetbeat/wire';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serviceChange } from '../support/changes.ts';

const never = new AbortController().signal;
const wire = doctorWire({ cloud: 'local' });
const batch = { id: 'b1', changes: [serviceChange('node10', 1), serviceChange('node11', 2)] };
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleetbeat-doctor-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A doctor that is a few lines of sh in the test's folder. */
const sh = (lines: string, options: Partial<Parameters<typeof scriptDoctor>[0]> = {}) =>
  scriptDoctor({ name: 'script', argv: ['/bin/sh', '-c', lines], wire, cwd: folder, ...options });

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

test('a script gets the seed’s events on its stdin, with an id for each and for all', async () => {
  await sh('cat > got').deliver(batch, never);
  expect(JSON.parse(readFileSync(join(folder, 'got'), 'utf8'))).toEqual({
    batch: 'b1',
    events: [
      {
        id: 'e:1:services/node10:0',
        type: 'services',
        name: 'node10',
        ip: '10.0.0.102',
        state: 'running',
        previous_state: 'stopped',
        code: '000000',
        previous_code: 'ER0023',
      },
      {
        id: 'e:2:services/node11:0',
        type: 'services',
        name: 'node11',
        ip: '10.0.0.102',
        state: 'stopped',
        previous_state: 'running',
        code: 'ER0023',
        previous_code: '000000',
      },
    ],
  });
});

test('a script that exits with another code than 0 has failed for now, and its error shows what it said last', async () => {
  const failure = sh('echo first >&2; printf "no \\033[31mdisk\\n" >&2; exit 3').deliver(batch, never);
  await expect(failure).rejects.toMatchObject({
    code: 'ER0018',
    retryable: true,
    detail: '/bin/sh ended with 3: first no [31mdisk',
  });
});

test('a program that is not there has failed for now', async () => {
  const doctor = scriptDoctor({ name: 'script', argv: ['/nonexistent/doctor'], wire });
  await expect(doctor.deliver(batch, never)).rejects.toMatchObject({ code: 'ER0018', retryable: true });
});

test('a script that hangs is ended past its deadline, with all that it has started', async () => {
  const failure = sh('sleep 60 & echo $! > child; wait', { deadlineMs: 200 }).deliver(batch, never);
  await expect(failure).rejects.toMatchObject({ code: 'ER0212', retryable: true });
  // Its parent is gone: when init lets go of it is init's affair.
  await expect.poll(() => isAlive(Number(readFileSync(join(folder, 'child'), 'utf8')))).toBe(false);
});

test('a child that does not heed SIGTERM is killed once its script is gone', async () => {
  const lines = '(trap "" TERM; exec sleep 60) & echo $! > child; wait';
  const failure = sh(lines, { deadlineMs: 200, graceMs: 60_000 }).deliver(batch, never);
  await expect(failure).rejects.toMatchObject({ code: 'ER0212' });
  await expect.poll(() => isAlive(Number(readFileSync(join(folder, 'child'), 'utf8')))).toBe(false);
});

test('a script that does not heed SIGTERM is killed, and is gone when its delivery ends', async () => {
  const lines = 'trap "" TERM; echo $$ > own; while :; do sleep 0.05; done';
  const failure = sh(lines, { deadlineMs: 200, graceMs: 100 }).deliver(batch, never);
  await expect(failure).rejects.toMatchObject({ code: 'ER0212' });
  expect(isAlive(Number(readFileSync(join(folder, 'own'), 'utf8')))).toBe(false);
});

test('a script whose caller gives up is ended', async () => {
  const caller = new AbortController();
  const failure = sh('sleep 60').deliver(batch, caller.signal);
  caller.abort();
  await expect(failure).rejects.toMatchObject({ code: 'ER0217', retryable: true });
});

test('a script that leaves its stdin unread is judged by its exit code alone', async () => {
  const many = { id: 'b2', changes: Array.from({ length: 2000 }, (_, i) => serviceChange('node10', i)) };
  await expect(sh('exec <&-; exit 0').deliver(many, never)).resolves.toBeUndefined();
});

test('a script sees PATH and what is said, and no other variable of the fleet', async () => {
  process.env.FLEETBEAT_TEST_SECRET = 'hunter2';
  try {
    await sh('env > seen', { env: { TEAM: 'db' } }).deliver(batch, never);
  } finally {
    delete process.env.FLEETBEAT_TEST_SECRET;
  }
  const seen = readFileSync(join(folder, 'seen'), 'utf8');
  expect(seen).toContain('TEAM=db');
  expect(seen).toContain('PATH=');
  expect(seen).not.toContain('hunter2');
});

test('no shell reads the arguments of a script', async () => {
  const argv = ['/bin/sh', '-c', 'printf %s "$1" > got', 'sh', '$(id); `id` > other'];
  await scriptDoctor({ name: 'script', argv, wire, cwd: folder }).deliver(batch, never);
  expect(readFileSync(join(folder, 'got'), 'utf8')).toBe('$(id); `id` > other');
});

const START = '{"level":"services","command":{"action":"start","group":"node10"}}';

test('what a script writes acts only where its doctor answers', async () => {
  const lines = `echo '${START}'`;
  expect(await sh(lines).deliver(batch, never)).toBeUndefined();
  expect(await sh(lines, { answers: true }).deliver(batch, never)).toEqual([
    { level: 'services', action: 'start', group: 'node10', type: 'all' },
  ]);
});

test('a script may answer with several commands, one a line, or with a list of actions over several lines', async () => {
  const commands = await sh(`echo '${START}'; echo; echo '${START}'`, { answers: true }).deliver(batch, never);
  expect(commands).toHaveLength(2);
  const actions = `cat << END
{ "actions": [
  { "event_ip": "10.0.0.102", "event_type": "instances", "event_state": "running",
    "do_level": "services", "do_group": "node10", "do_action": "start" } ] }
END`;
  expect(await sh(actions, { answers: true }).deliver(batch, never)).toEqual([
    {
      lane: 'services/node10',
      when: { on: 'holds', level: 'instances', subject: { ip: '10.0.0.102' }, state: 'running' },
      do: { level: 'services', name: 'node10', verb: 'start' },
    },
  ]);
});

test('an answer that is none has failed for good', async () => {
  const failure = sh('echo done', { answers: true }).deliver(batch, never);
  await expect(failure).rejects.toMatchObject({ code: 'ER0222', retryable: false });
});

test('a script that writes without end is ended', async () => {
  const failure = sh('yes', { answers: true, graceMs: 100 }).deliver(batch, never);
  await expect(failure).rejects.toMatchObject({ code: 'ER0223' });
});

test('a command without a program is refused', () => {
  expect(() => scriptDoctor({ name: 'script', argv: [], wire })).toThrow('Configuration error');
});
