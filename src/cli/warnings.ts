import type { EventEmitter } from 'node:events';
import { printable } from '../domain/printable.ts';
import type { Output } from './terminal.ts';

/**
 * Whoever runs a command can do nothing about these: that Node's own SQLite is new, and that versions of the AWS SDK that are not
 * out yet will want a newer Node.
 */
const IS_NO_NEWS = /\bSQLite is an experimental feature\b|^NodeVersionSupportWarning: The AWS SDK\b/;

/** Tells the warnings of a process in one line each, instead of as Node does. */
export function tellWarnings(source: EventEmitter, stderr: Output): void {
  source.removeAllListeners('warning');
  source.on('warning', ({ name, message }: Error) => {
    if (!IS_NO_NEWS.test(message)) stderr.write(`fleetbeat: ${printable(`${name}: ${message.replace(/\s*\n\s*/g, ' ')}`)}\n`);
  });
}
