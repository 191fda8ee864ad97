import { createServer } from 'node:net';
import ssh2, { type Connection } from 'ssh2';

/**
 * Hosts that speak the protocol of ssh and nothing else, in a process of their own: whatever command comes is answered at once, as by a
 * host on which no rung is configured. The port, the private host key and the addresses are its arguments; it says so once all listen.
 */
const [port = '', hostKey = '', ...addresses] = process.argv.slice(2);

const BOOT = '4b1d4c8e-9f3a-4d2e-8c6b-8a90f2c1d7e3\n';

const welcome = (client: Connection): void => {
  client.on('authentication', (attempt) => (attempt.method === 'publickey' ? attempt.accept() : attempt.reject(['publickey'])));
  client.on('error', () => {});
  client.on('session', (accept) => {
    accept().on('exec', (acceptCommand, _, { command }) => {
      const channel = acceptCommand();
      if (command !== 'exec sh') {
        channel.write(BOOT);
        channel.exit(0);
        channel.end();
        return;
      }
      // A shell that is kept open: each request ends in the mark that its answer has to bear.
      channel.on('data', (request: Buffer) => {
        const mark = /([0-9a-f]{24})\n$/.exec(request.toString('latin1'))?.[1];
        if (mark) channel.write(`${BOOT}\n${mark} 0\n\n${mark}\n`);
      });
    });
  });
};

const server = new ssh2.Server({ hostKeys: [hostKey] }, welcome);
let listening = 0;
for (const address of addresses) {
  createServer({ noDelay: true }, (socket) => server.injectSocket(socket)).listen(Number(port), address, () => {
    if (++listening === addresses.length) process.stdout.write('listening\n');
  });
}
process.stdin.resume().on('end', () => process.exit());
