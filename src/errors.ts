import { type KnownCode, textOf } from './domain/codes.ts';
import { printable } from './domain/printable.ts';

const BRAND = Symbol.for('fleetbeat.FleetError');

/** The one error of the library. Recognise it with {@link isFleetError}, never with `instanceof`: a host may load two copies. */
export class FleetError extends Error {
  override readonly name = 'FleetError';
  /** A code of the exported table, such as `ER0222`. */
  readonly code: KnownCode;
  /** The message without the code's text. */
  readonly detail: string;
  /** Whether the same call may succeed later, unchanged. */
  readonly retryable: boolean;

  /**
   * @param code what went wrong, from the table of codes
   * @param detail what, where, found, allowed: one sentence for a person; whatever a terminal or a log would obey is escaped
   * @param options `retryable` (false unless said) and `cause`
   */
  constructor(code: KnownCode, detail: string, options: { readonly retryable?: boolean; readonly cause?: unknown } = {}) {
    const said = printable(detail);
    super(`${textOf(code)}: ${said}`, 'cause' in options ? { cause: options.cause } : undefined);
    Object.defineProperty(this, BRAND, { value: true });
    this.code = code;
    this.detail = said;
    this.retryable = options.retryable ?? false;
  }
}

export const isFleetError = (error: unknown): error is FleetError =>
  typeof error === 'object' && error !== null && (error as { [BRAND]?: unknown })[BRAND] === true;

/** The message of whatever was thrown. */
export const messageOf = (error: unknown): string => {
  if (isFleetError(error)) return error.detail;
  return printable(error instanceof Error ? error.message : String(error));
};
