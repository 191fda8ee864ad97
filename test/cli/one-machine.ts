import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverFolder } from '../support/run-folder.ts';

/** A machine whose power is a file, so that it outlives the processes that look at it. */
export interface OneMachine {
  /** A folder with a configuration of it. */
  readonly cwd: string;
  /** The token of each call that has come. */
  calls(): readonly string[];
  power(state: 'stopped' | 'running'): void;
}

/** It is stopped, and starts when the test lets it. */
export function oneMachine(configuration: object = {}): OneMachine {
  const cwd = serverFolder('machine');
  const machine = join(cwd, 'power');
  const ledger = join(cwd, 'calls');
  const text = `
import { appendFileSync, readFileSync } from 'node:fs';
const state = () => readFileSync(${JSON.stringify(machine)}, 'utf8');
const observe = async ({ now: readAt }) => {
  const power = { state: state(), raw: state() };
  const items = [{ cloud: 'own', id: 'i-1', ip: '10.0.0.102', readAt, power, ...(power.state === 'running' && { ssh: 'up' }) }];
  return { items, readAt, complete: true, problems: [] };
};
const perform = async (calls) => {
  for (const { permit } of calls) appendFileSync(${JSON.stringify(ledger)}, permit.token + '\\n');
  return calls.map(() => null);
};
export default {
  clouds: { own: { driver: { name: 'own', everyMs: 50, observe, perform }, active: true } },
  policy: { leaseMs: 500, claimMs: 500, backoffMs: 20, backoffMaxMs: 50, storeEveryMs: 20 },
  beatEvery: '50ms',
  ...${JSON.stringify(configuration)},
};
`;
  writeFileSync(machine, 'stopped');
  writeFileSync(join(cwd, 'package.json'), '{"type":"module"}');
  writeFileSync(join(cwd, 'fleetbeat.config.js'), text);
  return {
    cwd,
    calls: () => (existsSync(ledger) ? readFileSync(ledger, 'utf8').trimEnd().split('\n') : []),
    power: (state) => writeFileSync(machine, state),
  };
}
