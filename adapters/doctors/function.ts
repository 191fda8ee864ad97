import type { Answer, Batch, Doctor } from '../../src/contracts.ts';

/** What a function does about changes: it may answer with commands and steps. */
export type Hear =
  | ((batch: Batch, signal: AbortSignal) => Promise<Answer | undefined>)
  | ((batch: Batch, signal: AbortSignal) => Promise<void>);

/**
 * A doctor that is a function of this program.
 *
 * @param hear resolves once it has dealt with the batch; what it throws is tried again, unless it is a FleetError that is not retryable
 *
 * @example
 * ```ts
 * functionDoctor('restarter', async ({ changes }) =>
 *   changes
 *     .filter(({ to }) => to.level === 'services' && to.state === 'failing')
 *     .map(({ to }) => ({ level: 'services', action: 'restart', group: to.name })),
 * );
 * ```
 */
export const functionDoctor = (name: string, hear: Hear): Doctor => ({
  name,
  deliver: async (batch, signal) => (await hear(batch, signal)) ?? undefined,
});
