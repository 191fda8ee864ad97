import type { Caller } from '../../src/contracts.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import type { Failure } from './failure.ts';
import { type Described, type Ec2Address, readPage } from './instances.ts';
import type { Requests } from './requests.ts';

/** What EC2 says of some instances, each once. */
export interface Description {
  readonly instances: readonly Described[];
  readonly problems: readonly Problem[];
  /** Why it ends before the last page. */
  readonly failure: Failure | null;
}

export interface Filter {
  readonly Name: string;
  readonly Values: readonly string[];
}

/** Reads instances, page after page. */
export type Describe = (
  filters: readonly Filter[],
  how: { readonly caller: Caller; readonly until: number },
  signal: AbortSignal,
) => Promise<Description>;

/** The most that EC2 gives at once. */
const PAGE_SIZE = 1000;

/** @param scope the filters of every read */
export function createDescribe(requests: Requests, address: Ec2Address, scope: readonly Filter[]): Describe {
  return async (filters, { caller, until }, signal) => {
    const all = [...scope, ...filters];
    const instances = new Map<string, Described>();
    const problems: Problem[] = [];
    const tokens = new Set<string>();
    const end = (failure: Failure | null): Description => ({ instances: [...instances.values()], problems, failure });

    for (let nextToken: string | undefined; ; ) {
      const input = {
        MaxResults: PAGE_SIZE,
        ...(all.length > 0 && { Filters: all }),
        ...(nextToken && { NextToken: nextToken }),
      };
      const answer = await requests({ action: 'DescribeInstances', input, caller, until }, signal);
      if (answer.is !== 'ok') return end(answer);
      const page = readPage(answer.output, address);
      if (!page) return end(misread('DescribeInstances was answered without a list of reservations'));
      // Between two pages an instance may move from the later to the earlier one.
      for (const one of page.instances) instances.set(one.id, one);
      problems.push(...page.problems);
      nextToken = page.nextToken;
      if (nextToken === undefined) return end(null);
      if (tokens.has(nextToken)) return end(misread('DescribeInstances leads back to a page that was read already'));
      tokens.add(nextToken);
    }
  };
}

export const misread = (message: string): Failure => ({ is: 'unknown', reason: '', code: 'ER0235', message });
