import { allowedWords } from '../nearest.ts';
import type { Contradiction } from './check.ts';
import type { ConfiguredCloud } from './cloud-fields.ts';
import { found } from './mistake.ts';

/** How an address can be chosen in a cloud that is configured so that none can be; null where one can. */
function choiceOf(cloud: ConfiguredCloud): string | null {
  if (cloud.driver === 'ec2' && cloud.address === 'public') return '"private": nobody can choose the public one';
  if (cloud.driver === 'digitalocean' && cloud.address !== 'reserved') return '"reserved": nobody can choose another one';
  return null;
}

const launchesHaveAddresses: Contradiction = ({ clouds }) => {
  for (const [name, cloud] of Object.entries(clouds)) {
    const allowed = 'launch' in cloud && cloud.launch ? choiceOf(cloud) : null;
    if (allowed === null || !('address' in cloud)) continue;
    const path = ['clouds', name, 'address'];
    return { path, found: `${found(path, cloud.address)} together with launch`, allowed };
  }
  return null;
};

/** Calls are counted by the name of the driver: that of its cloud, unless a JavaScript file has made it. */
const countedAs = (name: string, { driver }: ConfiguredCloud): string =>
  typeof driver === 'string' ? name : String(driver.name);

const billsAreOfClouds: Contradiction = ({ clouds, bill }) => {
  const known = Object.entries(clouds).map(([name, cloud]) => countedAs(name, cloud));
  for (const field of ['prices', 'budgets'] as const) {
    const unknown = Object.keys(bill[field]).find((name) => !known.includes(name));
    if (unknown === undefined) continue;
    return { path: ['bill', field], found: found([], unknown), allowed: `the name of a cloud: ${allowedWords(unknown, known)}` };
  }
  return null;
};

const limitsAreInOrder: Contradiction = ({ bill }) => {
  for (const [name, budget] of Object.entries(bill.budgets))
    for (const time of ['perHour', 'perDay'] as const) {
      const { soft, hard } = budget[time] ?? {};
      if (soft === undefined || hard === undefined || soft <= hard) continue;
      const path = ['bill', 'budgets', name, time, 'soft'];
      return { path, found: found(path, soft), allowed: `at most the hard limit, which is ${hard}` };
    }
  return null;
};

/** What is wrong between clouds and what they may cost. */
export const CLOUD_CONTRADICTIONS: readonly Contradiction[] = [launchesHaveAddresses, billsAreOfClouds, limitsAreInOrder];
