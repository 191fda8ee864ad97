import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Listener } from '../../adapters/haproxy/configuration.ts';
import { readLook, routesIn } from '../../adapters/haproxy/statistics.ts';
import { type Ip, parseIp } from '../../src/domain/identity.ts';
import { RUNS } from '../properties/runs.ts';

const RUNNING = 'running d1g35t 12-3456';
const HEADER = '# pxname,svname,status,weight,check_status,check_desc,addr,-,';
const said = (...servers: readonly string[]) =>
  [RUNNING, 'Name: HAProxy', 'description: fleetbeat-1', '', HEADER, ...servers, '', ''].join('\n');

const listener = (name: string, ...backends: readonly (readonly [name: string, ip: string])[]): Listener => ({
  name,
  binds: [],
  check: { by: 'mysql', user: null },
  backends: backends.map(([backend, ip]) => ({ name: backend, ip: parseIp(ip) as Ip, port: 3306, isBackup: false })),
});

function routes(text: string, ...listeners: readonly Listener[]): readonly string[] | null {
  const seen = readLook(text);
  return seen?.is === 'running' && seen.says ? routesIn(seen.says, listeners) : null;
}

describe('what a haproxy says of its servers', () => {
  const writes = listener('writes', ['db1', '10.0.0.1']);

  test.each([
    ['UP', 'L7OK', '1', true],
    ['UP 1/2', 'L7OK', '1', true],
    ['UP', '* L7OK', '1', true],
    ['UP', 'INI', '1', false],
    ['UP', '', '1', false],
    ['UP', 'L7OK', '0', false],
    ['DOWN', 'L4CON', '1', false],
    ['DOWN 1/2', 'L7OK', '1', false],
    ['DRAIN', 'L7OK', '1', false],
    ['MAINT', '', '1', false],
    ['NOLB', 'L7OK', '1', false],
  ])('makes of %s after the check %j, of weight %s, one that is routed to: %s', (status, check, weight, isUp) => {
    expect(routes(said(`writes,db1,${status},${weight},${check},"a, ""b""",10.0.0.1:3306,-,`), writes)).toEqual(
      isUp ? ['db1'] : [],
    );
  });

  test('counts in every listener that is to route to it, at the address where it is', () => {
    const reads = listener('reads', ['db1', '10.0.0.1'], ['db2', 'fd00::2']);
    const up = (place: string, address: string) => `${place},UP,1,L7OK,,${address},-,`;
    const all = [up('writes,db1', '10.0.0.1:3306'), up('reads,db1', '10.0.0.1:3306'), up('reads,db2', '[fd00::2]:3306')];
    expect(routes(said(...all), writes, reads)).toEqual(['db1', 'db2']);
    expect(routes(said(...all.slice(1)), writes, reads)).toEqual(['db2']);
    expect(routes(said(up('writes,db1', '10.0.0.9:3306')), writes)).toEqual([]);
  });

  test('is not known where its socket said nothing, or something else', () => {
    expect(readLook(`${RUNNING}\n`)).toEqual({ is: 'running', digest: 'd1g35t', runId: '12-3456', says: null });
    expect(readLook(`${RUNNING}\nPermission denied\n`)).toMatchObject({ says: null });
    expect(readLook('stopped none\n')).toEqual({ is: 'stopped', digest: 'none' });
    expect(readLook('uninstalled\n')).toEqual({ is: 'uninstalled' });
  });

  test('is nothing where a stranger answers, whatever that is', () => {
    const line = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('running', RUNNING, HEADER, 'description: x', ',",,"'));
    fc.assert(
      fc.property(
        fc.array(line).map((lines) => lines.join('\n')),
        (text) => {
          expect([null, []]).toContainEqual(routes(text, writes));
        },
      ),
      RUNS,
    );
    expect(readLook('')).toBeNull();
    expect(readLook('running')).toBeNull();
  });
});
