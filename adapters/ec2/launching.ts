import type { Permit } from '../../src/contracts.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import type { Ip } from '../../src/domain/identity.ts';
import type { Describe } from './description.ts';
import { codeOfCall } from './failure.ts';
import { type Described, type Ec2Address, readInstance } from './instances.ts';
import { clientTokenOf, type LaunchInput } from './launch.ts';
import type { Ec2Clock } from './pacer.ts';
import type { Requests } from './requests.ts';
import { fieldOf, listOf } from './shape.ts';
import type { Sightings } from './sightings.ts';
import { isLive } from './states.ts';

export interface LaunchingOptions {
  readonly cloud: string;
  readonly address: Ec2Address;
  readonly launchInput: LaunchInput;
  readonly requests: Requests;
  readonly describe: Describe;
  readonly sightings: Sightings;
  readonly clock: Ec2Clock;
  readonly deadlineMs: number;
}

/** Launches one instance at an ip, once for each token. @returns null where EC2 has accepted it, now or before */
export type Launching = (ip: Ip, permit: Permit, signal: AbortSignal) => Promise<Problem | null>;

export function createLaunching(options: LaunchingOptions): Launching {
  const { cloud, address, launchInput, requests, describe, sightings, clock, deadlineMs } = options;

  /** The token is known to EC2, with other settings: those of this configuration before it was changed. What it made is ours. */
  async function made(token: string, signal: AbortSignal): Promise<readonly Described[]> {
    const until = clock.now() + deadlineMs;
    const { instances } = await describe([{ Name: 'client-token', Values: [token] }], { caller: 'action', until }, signal);
    const ours = instances.filter(({ clientToken }) => clientToken === token);
    sightings.merge(ours, clock.now());
    return ours;
  }

  return async (ip, permit, signal) => {
    const input = launchInput(ip, permit.token);
    if (address !== 'private')
      return {
        subject: ip,
        code: 'ER0229',
        message: `${cloud} knows its instances by public addresses, which nobody can choose`,
      };
    if (!input) return { subject: ip, code: 'ER0229', message: `${cloud} is configured without an image to launch at ${ip}` };
    const answer = await requests({ action: 'RunInstances', input, caller: 'action', isWanted: permit.valid }, signal);
    if (answer.is !== 'ok') {
      const isMismatch = answer.is === 'refused' && answer.reason === 'IdempotentParameterMismatch';
      const ours = isMismatch ? await made(clientTokenOf(ip, permit.token), signal) : [];
      if (ours.some(({ power }) => isLive(power.state))) return null;
      const [lost] = ours;
      if (lost) return { subject: ip, code: 'ER0215', message: `${lost.id} was launched at ${ip}, and is terminated` };
      return { subject: ip, code: codeOfCall(answer), message: answer.message };
    }
    const { described } = readInstance(listOf(fieldOf(answer.output, 'Instances'))[0], address);
    if (!described) return { subject: ip, code: 'ER0220', message: 'RunInstances was answered without an instance' };
    sightings.launched({ ...described, ip: described.ip ?? ip }, clock.now());
    return null;
  };
}
