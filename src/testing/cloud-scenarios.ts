import assert from 'node:assert/strict';
import type { Call, PermittedCall } from '../contracts.ts';
import { instanceKey } from '../domain/identity.ts';
import { again, type CloudScenario, isLive, isUnknown, on, type Played, permitted, scenario } from './cloud/scenario.ts';

/** A launch whose first request met something, made again until it is accepted: one instance, in the end running. */
async function launchedOnce(cloud: Played, call: PermittedCall): Promise<void> {
  const { free } = cloud.ips;
  await cloud.accepted(again(call));
  await cloud.until(free, 'running');
  assert.equal(await cloud.countAt(free), 1, `instances at ${free} for one token`);
}

/**
 * What clouds do to drivers, as data, for any test runner: run against a simulated cloud, a provider's own test server, or the
 * provider.
 *
 * @example
 * ```ts
 * for (const { name, run } of cloudScenarios)
 *   test(name, () =>
 *     run(async () => {
 *       const cloud = simulatedCloud({ now, instances, eventualConsistency: 0.5 });
 *       return { driver: cloud.driver(), now, ips, advance, loseReply: () => cloud.strike('RunInstances', 'replyLost') };
 *     }));
 * ```
 */
export const cloudScenarios: readonly CloudScenario[] = [
  scenario('a stopped instance that is started is running', [], async ({ ips, accepted, until }) => {
    await until(ips.stopped, 'stopped');
    await accepted(permitted(on('start', ips.stopped)));
    await until(ips.stopped, 'running');
  }),

  scenario('a running instance that is stopped is stopped, and runs when it is started again', [], async (cloud) => {
    const { running } = cloud.ips;
    await cloud.until(running, 'running');
    await cloud.accepted(permitted(on('stop', running)));
    await cloud.until(running, 'stopped');
    await cloud.accepted(permitted(on('start', running)));
    await cloud.until(running, 'running');
  }),

  scenario('an instance that is launched at an ip runs there', [], async ({ ips, accepted, until, countAt }) => {
    await accepted(permitted(on('launch', ips.free)));
    await until(ips.free, 'running');
    assert.equal(await countAt(ips.free), 1);
  }),

  scenario('an instance that is terminated is gone', [], async ({ ips, accepted, until, reading }) => {
    await reading();
    await accepted(permitted(on('terminate', ips.running)));
    await until(ips.running, 'gone');
  }),

  scenario('a start that changes nothing is accepted', [], async ({ ips, perform, reading }) => {
    await reading();
    assert.deepEqual(await perform(permitted(on('start', ips.running))), [null]);
  }),

  scenario('a launch that comes twice under one token is one instance', [], async (cloud) => {
    const call = permitted(on('launch', cloud.ips.free));
    await cloud.accepted(call);
    await launchedOnce(cloud, call);
  }),

  scenario('a launch whose reply is lost, and that is repeated, is one instance', ['loseReply'], async (cloud) => {
    await cloud.reading();
    const call = permitted(on('launch', cloud.ips.free));
    await cloud.loseReply();
    const [answer] = await cloud.perform(call);
    assert(answer === null || isUnknown(answer), `a lost reply is no refusal, found ${JSON.stringify(answer)}`);
    await launchedOnce(cloud, call);
  }),

  scenario('a launch whose request is lost, and that is repeated, is one instance', ['loseRequest'], async (cloud) => {
    await cloud.reading();
    const call = permitted(on('launch', cloud.ips.free));
    await cloud.loseRequest();
    const [answer] = await cloud.perform(call);
    assert(answer === null || isUnknown(answer), `a lost request is no refusal, found ${JSON.stringify(answer)}`);
    await launchedOnce(cloud, call);
  }),

  scenario('a launch where something is already is refused', [], async ({ ips, perform, reading }) => {
    const before = await reading();
    const [answer] = await perform(permitted(on('launch', ips.running)));
    assert(answer && !isUnknown(answer), `found ${JSON.stringify(answer)}`);
    assert.equal((await reading()).items.length, before.items.length, 'instances after the refusal');
  }),

  scenario('what does not exist is not stopped, started, rebooted or terminated, nor launched by it', [], async (cloud) => {
    const { nowhere } = cloud.ips;
    await cloud.reading();
    const subjects: Call['do'][] = (['stop', 'start', 'reboot', 'terminate'] as const).map((verb) => on(verb, nowhere).do);
    for (const what of subjects) {
      const [answer] = await cloud.perform(permitted({ do: what }));
      assert.equal(answer?.code, 'ER0205', `${what.verb} at ${nowhere}, where nothing is: found ${JSON.stringify(answer)}`);
    }
    assert.equal(await cloud.countAt(nowhere), 0, `instances at ${nowhere}`);
  }),

  scenario('an instance that was just launched is never told to be gone', [], async ({ ips, accepted, until }) => {
    await accepted(permitted(on('launch', ips.free)));
    await until(ips.free, 'running', (seen) => {
      for (const facts of seen)
        assert(
          isLive(facts),
          `a new instance is told to be ${facts.power?.state} (${facts.power?.raw}), though nobody has ended it`,
        );
    });
  }),

  scenario('what was just launched can be acted on once it is listed', [], async ({ ips, accepted, until }) => {
    await accepted(permitted(on('launch', ips.free)));
    await until(ips.free, 'running');
    await accepted(permitted(on('stop', ips.free)));
    await until(ips.free, 'stopped');
  }),

  scenario('reads that are throttled recover', ['throttle'], async ({ reading, throttle }) => {
    const before = await reading();
    await throttle(3);
    const after = await reading();
    assert.deepEqual(after.items.map(({ id }) => id).sort(), before.items.map(({ id }) => id).sort());
  }),

  scenario('calls that are throttled are not lost', ['throttle'], async ({ ips, reading, throttle, accepted, until }) => {
    await reading();
    await throttle(3);
    await accepted(permitted(on('start', ips.stopped)));
    await until(ips.stopped, 'running');
  }),

  scenario(
    'a launch that finds no capacity goes through under the same token once there is some',
    ['refuseCapacity'],
    async (cloud) => {
      await cloud.reading();
      const call = permitted(on('launch', cloud.ips.free));
      await cloud.refuseCapacity();
      await cloud.perform(call);
      await launchedOnce(cloud, call);
    },
  ),

  scenario('what the provider takes back is gone, and can be launched again at its ip', ['interrupt'], async (cloud) => {
    const { running } = cloud.ips;
    await cloud.until(running, 'running');
    await cloud.interrupt(running);
    await cloud.until(running, 'gone');
    await cloud.accepted(permitted(on('launch', running)));
    await cloud.until(running, 'running');
  }),

  scenario('many instances are read page by page, each once', ['fill'], async ({ fill, reading }) => {
    await fill(30);
    const { items } = await reading();
    assert(items.length >= 30, `found ${items.length} of at least 30 instances`);
    const ids = items.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'an instance is listed twice');
  }),

  scenario('of many calls, the one that cannot be does not spoil the others', [], async ({ ips, perform, reading, until }) => {
    const { items } = await reading();
    const cloud = items[0]?.cloud ?? '';
    const nobody: Call = {
      do: { level: 'instances', subject: { key: instanceKey(cloud, 'i-00000000000000bad') }, verb: 'start' },
    };
    const answers = await perform(permitted(on('start', ips.stopped)), permitted(nobody), permitted(on('start', ips.running)));
    assert.equal(answers[0], null, `the start of ${ips.stopped}: ${JSON.stringify(answers[0])}`);
    assert.equal(answers[1]?.code, 'ER0205', `the start of nobody: ${JSON.stringify(answers[1])}`);
    assert.equal(answers[2], null, `the start of ${ips.running}, which runs: ${JSON.stringify(answers[2])}`);
    await until(ips.stopped, 'running');
  }),
];
