import { type AnyServiceKind, defineServiceKind } from '../contracts.ts';
import { FleetError } from '../errors.ts';
import { DEFAULT_KINDS, type SimulatedKind } from './simulated-kinds.ts';

/** The simulated kinds as a fleet takes them: their ladders, nothing to probe or run, for the simulated driver does that. */
export const simulatedKinds = (kinds: Readonly<Record<string, SimulatedKind>> = DEFAULT_KINDS): readonly AnyServiceKind[] =>
  Object.entries(kinds).map(([mode, { host, ladder, isConfigured = false }]) => {
    const refuse = async () => {
      throw new FleetError('ER0229', `${mode} is simulated; the simulated driver observes it and acts on it`);
    };
    return defineServiceKind<unknown>({
      mode,
      host,
      ladder,
      settings: (raw) => raw,
      probe: refuse,
      steps: isConfigured ? { configure: refuse } : {},
    });
  });
