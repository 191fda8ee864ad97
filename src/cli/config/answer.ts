import type { ConfigFile } from '../../contracts.ts';
import type { Service } from '../../domain/service.ts';
import { FleetError } from '../../errors.ts';
import { createRoster } from '../../roster.ts';
import { allowedWords } from '../nearest.ts';
import type { Configuration } from './check.ts';
import { display } from './display.ts';
import { kindsOf } from './kinds.ts';
import { rules } from './rules.ts';

/**
 * What the config level answers: the configuration in force, its rules, or the generated file of one service.
 *
 * @throws FleetError ER0202 for another action, or a service whose kind has no file; ER0203 for a service that is not configured;
 * ER0230 for settings that its kind refuses
 */
export async function configAnswer(action: string, group: string, configuration: Configuration): Promise<unknown> {
  switch (action) {
    case 'display':
      return display(configuration);
    case 'rules':
      return rules();
    case 'file':
      return fileOf(group, configuration);
    default:
      throw new FleetError('ER0202', `config: found ${JSON.stringify(action)}, allowed: display, rules, file`);
  }
}

/** As the steps of its kind would write it, as far as the configuration alone can tell. */
async function fileOf(name: string, configuration: Configuration): Promise<ConfigFile> {
  const service = configuration.services.find((one) => one.name === name);
  if (!service) {
    const names = configuration.services.map((one) => one.name);
    const allowed = allowedWords(name, names) || 'none is configured';
    throw new FleetError('ER0203', `config file: found ${JSON.stringify(name)}, allowed: ${allowed}`);
  }
  const kinds = await kindsOf(
    configuration.services.map(({ mode }) => mode),
    configuration.kinds,
  );
  const kind = kinds.find(({ mode }) => mode === service.mode);
  if (!kind?.configFile)
    throw new FleetError(
      'ER0202',
      `config file: a service of mode ${service.mode} has no configuration file of its own, only its settings`,
    );
  const known = configuration.services.filter(({ mode }) => kinds.some((one) => one.mode === mode));
  const { services } = createRoster(kinds, known, AS_CONFIGURED);
  const of = services.find((one) => one.name === name) as Service<never>;
  return kind.configFile(of, { view: () => undefined, services: () => services });
}

/** Without its store, nobody knows of a change of master. */
const AS_CONFIGURED = { masterOf: () => null };
