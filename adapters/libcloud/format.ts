/** How the bodies of an API are written and read. */
export interface Format {
  /** What it accepts, as the header says it. */
  readonly accept: string;
  /** What its own bodies are, as the header says it. */
  readonly type: string;
  write(body: unknown): string;
  /** Never throws: whatever a stranger sends is either read or malformed. */
  read(text: string): { readonly body: unknown; readonly isMalformed: boolean };
}

export const JSON_FORMAT: Format = {
  accept: 'application/json',
  type: 'application/json',
  write: (body) => JSON.stringify(body),
  read(text) {
    try {
      return { body: JSON.parse(text), isMalformed: false };
    } catch {
      return { body: undefined, isMalformed: true };
    }
  },
};
