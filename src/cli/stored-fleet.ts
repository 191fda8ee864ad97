import type { Fleet } from '../index.ts';
import type { Configuration } from './config/check.ts';
import { findConfiguration } from './config/find.ts';
import { kindsOf } from './config/kinds.ts';
import { openStore } from './config/open-store.ts';
import { readConfiguration } from './config/read.ts';
import { refuseMemory } from './lasting-store.ts';
import type { Options } from './options.ts';
import type { Terminal } from './terminal.ts';

/**
 * Works on what stands in the store of a fleet: no cloud and no host is asked, nothing is done.
 *
 * @param what the command, for messages; `why` says why it means nothing with a store that ends with its process
 */
export async function withStoredFleet<T>(
  { config }: Options,
  { cwd }: Pick<Terminal, 'cwd'>,
  { what, why }: { readonly what: string; readonly why: string },
  work: (fleet: Fleet, configuration: Configuration) => Promise<T>,
): Promise<T> {
  const configuration = await readConfiguration(findConfiguration(cwd, config));
  refuseMemory(configuration, what, why);
  const { services, policy, recover } = configuration;
  const modes = services.map(({ mode }) => mode);
  const [{ createFleet }, kinds] = await Promise.all([import('../fleet.ts'), kindsOf(modes, configuration.kinds)]);
  const store = await openStore(configuration.store);
  const fleet = createFleet({ store, kinds, services, policy, recover });
  try {
    return await work(fleet, configuration);
  } finally {
    await fleet.stop();
    await store.close?.();
  }
}
