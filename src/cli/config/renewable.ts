import type { Driver } from '../../contracts.ts';
import type { InstanceFacts } from '../../domain/instance.ts';

/** A cloud of which a new reading may be asked for, whatever is remembered. */
export interface Renewable {
  readonly driver: Driver<InstanceFacts>;
  /** The next read is a new one, on a person's behalf. */
  readAnew(): void;
}

/** @param driver one that heeds how old its answer may be */
export function renewable(driver: Driver<InstanceFacts>): Renewable {
  let asked = 0;
  let answered = 0;
  return {
    readAnew() {
      asked++;
    },
    driver: {
      ...driver,
      async observe(want, signal) {
        // Whoever asks while this is being read means a later one.
        const asking = asked;
        if (asking === answered) return driver.observe(want, signal);
        const reading = await driver.observe({ ...want, maxAgeMs: 0, caller: 'person' }, signal);
        answered = asking;
        return reading;
      },
    },
  };
}
