import { XMLParser, XMLValidator } from 'fast-xml-parser';
import type { Format } from '../format.ts';

/** What may come once or often, and is a list in either case. */
const LISTS: ReadonlySet<string> = new Set(['VMRecord', 'Vm', 'NetworkConnection', 'Link', 'Task']);

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The five that every XML has; whatever else a document declares or numbers stays as it is written. */
const unescaped = (text: string): string => text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? '');

export const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (found) => `&${Object.keys(ENTITIES).find((name) => ENTITIES[name] === found)};`);

/** A version's XML. A document with a type of its own is malformed: its entities are not ours to expand. */
export function xmlFormat(version: string): Format {
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    removeNSPrefix: true,
    parseTagValue: false,
    processEntities: false,
    isArray: (name) => LISTS.has(name),
    tagValueProcessor: (_, value) => unescaped(value),
    attributeValueProcessor: (_, value) => unescaped(value),
  });
  return {
    accept: `application/*+xml;version=${version}`,
    type: 'application/xml',
    write: String,
    read(text) {
      const malformed = { body: undefined, isMalformed: true };
      try {
        if (/<!DOCTYPE/i.test(text) || XMLValidator.validate(text) !== true) return malformed;
        return { body: parser.parse(text), isMalformed: false };
      } catch {
        return malformed;
      }
    },
  };
}
