import { connect } from 'node:net';

const ANSWER_MS = 1000;

/** What a haproxy says through its socket of its listeners and their servers, line by line, by column; null where it cannot be asked. */
export async function haproxyStats(socketPath: string): Promise<readonly Readonly<Record<string, string>>[] | null> {
  let text = '';
  const socket = connect(socketPath);
  socket.setTimeout(ANSWER_MS, () => socket.destroy());
  socket.on('connect', () => socket.write('show stat\n'));
  socket.on('data', (bytes) => {
    text += bytes;
  });
  socket.on('error', () => socket.destroy());
  await new Promise((resolve) => socket.once('close', resolve));
  const [header = '', ...lines] = text.trim().split('\n');
  if (!header.startsWith('# pxname,')) return null;
  const columns = header.slice(2).split(',');
  return lines.map((line) => Object.fromEntries(line.split(',').map((field, i) => [columns[i] ?? '', field])));
}
