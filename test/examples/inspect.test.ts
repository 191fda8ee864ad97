import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createWebSocketReceiver, type StatelyInspectionEvent } from '@statelyai/inspect';
import { expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { runExample } from '../support/run-example.ts';

test('inspect.ts: every entity and action reaches the inspector as an actor with its chart and states', async () => {
  const relay = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(relay, 'listening');
  relay.on('connection', (sender) => {
    sender.on('message', (data, isBinary) => {
      for (const client of relay.clients) if (client !== sender) client.send(data, { binary: isBinary });
    });
  });
  const url = `ws://127.0.0.1:${(relay.address() as AddressInfo).port}`;
  const seen: StatelyInspectionEvent[] = [];
  const joined = once(relay, 'connection');
  createWebSocketReceiver({ server: url }).subscribe((event) => seen.push(event));
  await joined;

  const printed = await runExample('inspect.ts', url);
  expect(printed).toContain('nosql1 is up');

  const actors = () => new Map(seen.flatMap((event) => (event.type === '@xstate.actor' ? [[event.name, event] as const] : [])));
  const last = () => {
    const sessionId = actors().get('services/nosql1')?.sessionId;
    return seen.flatMap((event) => (event.type === '@xstate.snapshot' && event.sessionId === sessionId ? [event] : [])).at(-1)
      ?.snapshot;
  };
  // What the example sent last may still be on its way through the relay when its process has ended.
  await expect.poll(last).toMatchObject({ value: { observed: { running: 'up' }, operation: { available: 'idle' } } });
  const names = [...actors().keys()];
  expect(names).toEqual(expect.arrayContaining(['sources/simulated', 'instances/simulated/i-1', 'services/nosql1']));
  expect(names.filter((name) => /^[0-9a-f]{24}$/.test(name))).toHaveLength(3);
  expect(JSON.parse(actors().get('services/nosql1')?.definition ?? '{}')).toMatchObject({ id: 'service' });
  for (const client of relay.clients) client.terminate();
  relay.close();
});
