import { isUtf8 } from 'node:buffer';
import type { FleetError } from '../errors.ts';
import type { Limits } from './limits.ts';
import { malformed, tooLarge } from './refusal.ts';
import { positionOf, scan } from './scan.ts';

/** Parses a JSON text, or refuses it with the line, the column and the reason. */
export function parse(input: string | Uint8Array, limits: Limits): unknown {
  const bytes = typeof input === 'string' ? Buffer.byteLength(input) : input.byteLength;
  if (bytes > limits.maxBytes) {
    throw tooLarge({ what: 'document', where: 'its root', found: `${bytes} bytes`, allowed: `at most ${limits.maxBytes} bytes` });
  }
  const text = withoutMark(typeof input === 'string' ? input : decode(input));
  const flaw = scan(text, limits);
  if (flaw === null) return JSON.parse(text);
  const refuse = flaw.isTooLarge ? tooLarge : malformed;
  throw refuse({ what: 'document', where: placeOf(text, flaw.offset), found: flaw.found, allowed: flaw.allowed });
}

function decode(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  if (isUtf8(bytes)) return text;
  throw notUtf8(bytes, text);
}

const REPLACEMENT = '\uFFFD';
const REPLACEMENT_BYTES = Buffer.from(REPLACEMENT);

/** Finds the first replacement character that the decoder put there itself. */
function notUtf8(bytes: Uint8Array, text: string): FleetError {
  let at = text.indexOf(REPLACEMENT);
  let offset = Buffer.byteLength(text.slice(0, at));
  while (REPLACEMENT_BYTES.equals(bytes.subarray(offset, offset + REPLACEMENT_BYTES.length))) {
    const next = text.indexOf(REPLACEMENT, at + 1);
    offset += Buffer.byteLength(text.slice(at, next));
    at = next;
  }
  const found = `the byte 0x${(bytes[offset] ?? 0).toString(16).padStart(2, '0')}`;
  const valid = withoutMark(text.slice(0, at));
  return malformed({ what: 'document', where: placeOf(valid, valid.length), found, allowed: 'text in UTF-8' });
}

const withoutMark = (text: string): string => (text.startsWith('\uFEFF') ? text.slice(1) : text);

function placeOf(text: string, offset: number): string {
  const { line, column } = positionOf(text, offset);
  return `line ${line}, column ${column}`;
}
