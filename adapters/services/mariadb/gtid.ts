import { FleetError } from '../../../src/errors.ts';

/** A transaction's name: in which domain, on which server it was first written, and which in the domain's order. */
export interface Gtid {
  readonly domain: number;
  readonly server: number;
  readonly sequence: bigint;
}

const GTID = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/;

/**
 * Reads a position or a state of a log, such as `0-1-100,0-2-90`: of each server in each domain its last transaction.
 *
 * @throws FleetError ER0222 where it is none
 */
export function parseGtids(text: string): readonly Gtid[] {
  const words = text.split(',').map((word) => word.trim());
  return words.flatMap((word) => {
    if (word === '') return [];
    const [, domain, server, sequence] = GTID.exec(word) ?? [];
    if (domain === undefined || server === undefined || sequence === undefined)
      throw new FleetError('ER0222', `a GTID is domain-server-sequence, found ${JSON.stringify(word.slice(0, 100))}`);
    return [{ domain: Number(domain), server: Number(server), sequence: BigInt(sequence) }];
  });
}

export const gtidText = (gtids: readonly Gtid[]): string =>
  gtids.map(({ domain, server, sequence }) => `${domain}-${server}-${sequence}`).join(',');

/** Those of `these` that are not among `known`: of a replica's log against all that its master knows, its errant transactions. */
export const missingFrom = (these: readonly Gtid[], known: readonly Gtid[]): readonly Gtid[] =>
  these.filter(
    (one) =>
      !known.some(({ domain, server, sequence }) => domain === one.domain && server === one.server && sequence >= one.sequence),
  );

/** Whether a position has been reached: in each of its domains, the other is at or past its sequence. */
export const isReached = (position: readonly Gtid[], by: readonly Gtid[]): boolean =>
  position.every((one) => by.some(({ domain, sequence }) => domain === one.domain && sequence >= one.sequence));
