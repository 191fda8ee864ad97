import { crc32 } from 'node:zlib';

/** `<encoding> <bytes> <checksum>\n`, then the value. */
const HEAD = /^(utf8|utf16le) (\d{1,10}) ([0-9a-f]{8})\n/;
const HEAD_MAX = 32;
const COUNTER = /^\d{1,20}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

type Encoding = 'utf8' | 'utf16le';

/** Covers the key too: an intact value of another key is as wrong as half a value. */
const checksum = (key: string, content: Buffer): string =>
  crc32(content, crc32(`${key}\n`))
    .toString(16)
    .padStart(8, '0');

/** The bytes to be stored for a text: any JavaScript string, also one that UTF-8 cannot hold. */
export function frame(key: string, text: string): Buffer {
  const encoding: Encoding = LONE_SURROGATE.test(text) ? 'utf16le' : 'utf8';
  const content = Buffer.from(text, encoding);
  return Buffer.concat([Buffer.from(`${encoding} ${content.length} ${checksum(key, content)}\n`), content]);
}

/** The text of stored bytes: of a frame, or of a counter, which memcached keeps as bare digits; null where they are neither. */
export function unframe(key: string, bytes: Buffer): string | null {
  const [head, encoding, length, sum] = HEAD.exec(bytes.toString('latin1', 0, HEAD_MAX)) ?? [];
  if (head === undefined) return bytes.length <= 20 && COUNTER.test(bytes.toString('latin1')) ? bytes.toString('latin1') : null;
  const content = bytes.subarray(head.length);
  if (content.length !== Number(length) || checksum(key, content) !== sum) return null;
  return content.toString(encoding as Encoding);
}
