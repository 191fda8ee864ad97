import { once } from 'node:events';
import { createServer } from 'node:net';
import * as fc from 'fast-check';
import { type Mariadb, mariadb, secret, servers } from 'fleetbeat/adapters/services/mariadb';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { isThorough, PATIENCE_MS } from '../properties/runs.ts';
import { freePort } from '../support/servers.ts';

const never = new AbortController().signal;
const PASSWORD = 'hunter2-monitor';

/** A packet of the protocol, whatever is in it. */
const packet = (body: Uint8Array, sequence: number, length = body.length): Buffer =>
  Buffer.concat([Buffer.from([length & 255, (length >> 8) & 255, (length >> 16) & 255, sequence]), body]);

/** What a server greets with, up to where clients read on. */
const GREETING = Buffer.from(
  '0a352e352e352d31302e31312e31392d4d617269614442000100000041414141414141410' +
    '0fef72d0200ff811500000000000000000000424242424242424242424242006d7973716c5f6e61746976655f70617373776f726400',
  'hex',
);

const WELCOME = Buffer.from([0, 0, 0, 2, 0, 0, 0]);

const bytes = fc.uint8Array({ maxLength: 80 }).map((some) => Buffer.from(some));
const spoiled = fc.tuple(fc.nat(GREETING.length - 1), fc.nat(255), fc.nat(GREETING.length)).map(([at, byte, length]) => {
  const copy = Buffer.from(GREETING.subarray(0, length));
  if (at < copy.length) copy[at] = byte;
  return copy;
});
const answers = fc.tuple(
  fc.oneof(
    bytes,
    fc
      .constantFrom('220 mail.example.org\r\n', 'SSH-2.0-OpenSSH\r\n', 'HTTP/1.1 400 Bad\r\n\r\n')
      .map((text) => Buffer.from(text)),
    spoiled.map((body) => packet(body, 0)),
    fc.constant(packet(GREETING, 0)),
    fc.tuple(bytes, fc.nat(0xffffff)).map(([body, length]) => packet(body, 0, length)),
  ),
  fc.array(
    fc.oneof(
      bytes,
      fc.tuple(bytes, fc.nat(255)).map(([body, sequence]) => packet(body, sequence)),
      fc.constantFrom(2, 1).map((sequence) => packet(WELCOME, sequence)),
      fc
        .tuple(bytes, fc.constantFrom(0xff, 0xfe, 0xfb, 0x01, 0x02))
        .map(([body, first]) => packet(Buffer.from([first, ...body]), 2)),
    ),
    { maxLength: 4 },
  ),
);

describe('who is no MariaDB', () => {
  let port: number;
  let script: readonly Buffer[] = [];
  let heard = Buffer.alloc(0);
  const server = createServer((socket) => {
    const [first, ...rest] = script;
    if (first) socket.write(first);
    socket.on('error', () => socket.destroy());
    socket.on('data', (some) => {
      heard = Buffer.concat([heard, some]);
      for (const one of rest.splice(0)) socket.write(one);
      socket.end();
    });
  });

  beforeAll(async () => {
    // The driver tells there what comes out of order.
    vi.spyOn(console, 'error').mockImplementation(() => {});
    port = await freePort('127.0.0.1');
    await once(server.listen(port, '127.0.0.1'), 'listening');
  });
  afterAll(() => {
    vi.restoreAllMocks();
    server.close();
  });

  test(
    'is found to be none, whatever it answers, and is not told the password',
    async () => {
      const kind = mariadb();
      const of = {
        name: 'db1',
        ip: '127.0.0.1',
        mode: 'mariadb',
        status: 'master',
        settings: kind.settings({ port, monitor: { password: secret(PASSWORD) }, replication: { password: secret('r') } }),
      } as unknown as Mariadb;
      await fc.assert(
        fc.asyncProperty(answers, async ([greeting, then]) => {
          script = [greeting, ...then];
          const answer = await servers().ask(of, ['SELECT 1 AS a'], 50, never);
          if (answer.kind === 'unsound') expect(answer.reason).not.toContain(PASSWORD);
          expect(heard.includes(PASSWORD)).toBe(false);
          heard = Buffer.alloc(0);
        }),
        // Errors that end within their second field, which end its reader too.
        {
          examples: [[[packet(GREETING, 0), [Buffer.concat([packet(WELCOME, 2), packet(Buffer.from([0xff]), 3)])]]]],
          numRuns: isThorough ? 600 : 40,
          endOnFailure: true,
        },
      );
    },
    PATIENCE_MS,
  );
});
