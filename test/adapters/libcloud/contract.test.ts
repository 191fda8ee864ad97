import { driverContract } from 'fleetbeat/testing';
import { describe, test } from 'vitest';
import { asInstant, type Token } from '../../../src/domain/identity.ts';
import { callTo } from '../../support/clouds/calls.ts';
import { FAKES } from '../../support/clouds/fakes.ts';

describe.each(FAKES)('%s keeps the contract of a driver', (_, open) => {
  for (const { name, run } of driverContract) {
    test(name, () =>
      run(async () => {
        const cloud = await open();
        const off = cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
        const on = cloud.add({ ip: '10.0.0.2', state: cloud.words.running });
        const driver = cloud.driver();
        const idOf = new Map<Token, string>();
        let now = 0;
        return {
          driver: {
            ...driver,
            perform(calls, signal) {
              for (const { call, permit } of calls) {
                const isFirst = call.do.level === 'instances' && 'ip' in call.do.subject && call.do.subject.ip === off.ip;
                idOf.set(permit.token, isFirst ? off.id : on.id);
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
          applied: (token) => cloud.effects.filter((effect) => effect.endsWith(` ${idOf.get(token)}`)).length,
          failOne: () => {
            on.state = 42;
          },
          close: () => cloud.close(),
        };
      }),
    );
  }
});
