import { FleetError } from '../../errors.ts';
import { allowedWords } from '../nearest.ts';
import type { Configuration } from './check.ts';
import { display } from './display.ts';
import { rules } from './rules.ts';

/**
 * What the config level answers: the configuration in force, its rules, or the generated file of one service.
 *
 * @throws FleetError ER0202 for another action, or a service whose kind has no file; ER0203 for a service that is not configured
 */
export function configAnswer(action: string, group: string, configuration: Configuration): unknown {
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

function fileOf(name: string, { services }: Configuration): never {
  const service = services.find((one) => one.name === name);
  if (!service) {
    const names = services.map((one) => one.name);
    const allowed = allowedWords(name, names) || 'none is configured';
    throw new FleetError('ER0203', `config file: found ${JSON.stringify(name)}, allowed: ${allowed}`);
  }
  throw new FleetError(
    'ER0202',
    `config file: a service of mode ${service.mode} has no configuration file of its own, only its settings`,
  );
}
