/** What an XML answer is written from: arrays become `<item>`s, null and undefined nothing at all. */
export type XmlValue = string | number | boolean | null | undefined | readonly XmlValue[] | { readonly [tag: string]: XmlValue };

/** One element of the tags of EC2's answers, which are ours to choose; what comes from outside is only ever text. */
export function element(tag: string, value: XmlValue, attributes = ''): string {
  if (value === null || value === undefined) return '';
  return `<${tag}${attributes}>${content(value)}</${tag}>`;
}

function content(value: XmlValue): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map((item) => element('item', item)).join('');
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([tag, inner]) => element(tag, inner))
      .join('');
  return escaped(String(value));
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** Characters that no XML document may have, not even escaped, become the replacement character. */
const escaped = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is replaced
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character)
    .replaceAll('\r', '&#13;');
