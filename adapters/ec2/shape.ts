/** Total readers of what a stranger sent: whatever it is, these answer and do not throw. */

export const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && name in value ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

export const stringOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The elements of a list; none of anything else. */
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** A text field that is there and not empty. */
export const textAt = (value: unknown, name: string): string | undefined => stringOf(fieldOf(value, name)) || undefined;
