import * as v from 'valibot';
import { configurationSchema } from './schema.ts';

/** A schema as JSON Schema has it, as far as a configuration needs it. */
export interface Rule {
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Rule>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | Rule;
  readonly items?: Rule;
  readonly anyOf?: readonly Rule[];
}

/** The rules that a configuration is checked by, as JSON Schema. */
export const rules = (): Rule => ({
  ...ruleOf(configurationSchema),
  description: 'fleetbeat.config.{js,json,yaml}: a relative path starts at the file itself; unknown fields are refused.',
});

/** What of a valibot schema tells its shape. */
type Shape = v.GenericSchema & {
  readonly entries?: Readonly<Record<string, Shape>>;
  readonly item?: Shape;
  readonly value?: Shape;
  readonly wrapped?: Shape;
  readonly default?: unknown;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
  readonly getter?: (input: unknown) => Shape;
  readonly pipe?: readonly { readonly kind: string }[];
};

function ruleOf(given: v.GenericSchema): Rule {
  const schema = given as Shape;
  const description = v.getDescription(given);
  const rule = shapeOf(schema);
  return description === undefined ? rule : { description, ...rule };
}

function shapeOf(schema: Shape): Rule {
  switch (schema.type) {
    case 'exact_optional': {
      const { default: byDefault, wrapped } = schema;
      return { ...(wrapped && ruleOf(wrapped)), ...(byDefault !== undefined && { default: byDefault }) };
    }
    case 'strict_object':
      return objectRule(schema.entries ?? {});
    case 'custom': {
      const [inner] = fieldsIn(schema);
      return inner ? shapeOf(inner) : { type: 'object' };
    }
    case 'record':
      return { type: 'object', ...(schema.value && { additionalProperties: ruleOf(schema.value) }) };
    case 'array':
      return { type: 'array', ...(schema.item && { items: ruleOf(schema.item) }) };
    case 'variant':
    case 'union':
      return { anyOf: (schema.options as readonly Shape[]).map(ruleOf) };
    case 'nullable':
      return { anyOf: [...(schema.wrapped ? [ruleOf(schema.wrapped)] : []), { type: 'null' }] };
    case 'lazy':
      return schema.getter ? ruleOf(schema.getter(undefined)) : {};
    case 'literal':
      return { const: schema.literal };
    case 'picklist':
      return { enum: schema.options ?? [] };
    case 'unknown':
      return {};
    default:
      return { type: schema.type };
  }
}

/** A check of being an object at all stands before the schema of its fields. */
const fieldsIn = (schema: Shape): readonly Shape[] =>
  (schema.pipe ?? [])
    .filter((part): part is Shape => part.kind === 'schema')
    .flatMap((part) => (part.type === 'custom' ? fieldsIn(part) : [part]));

function objectRule(entries: Readonly<Record<string, Shape>>): Rule {
  const all = Object.entries(entries);
  const required = all.filter(([, entry]) => entry.type !== 'exact_optional').map(([name]) => name);
  return {
    type: 'object',
    properties: Object.fromEntries(all.map(([name, entry]) => [name, ruleOf(entry)])),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  };
}

/** One line of the listing: where, what, and what it means. */
export interface RuleLine {
  readonly path: string;
  readonly type: string;
  readonly byDefault: string;
  readonly meaning: string;
}

/** The rules as lines, each field under its path. */
export function ruleLines(rule: Rule, path = ''): readonly RuleLine[] {
  const line = { path, type: typeOf(rule), byDefault: defaultOf(rule), meaning: rule.description ?? '' };
  const below = [
    ...Object.entries(rule.properties ?? {}).flatMap(([name, inner]) => {
      const lines = ruleLines(inner, path === '' ? name : `${path}.${name}`);
      const [first, ...rest] = lines;
      return first && rule.required?.includes(name) ? [{ ...first, byDefault: 'required' }, ...rest] : lines;
    }),
    ...(rule.additionalProperties ? ruleLines(rule.additionalProperties, `${path}.<name>`) : []),
    ...(rule.items?.type === 'object' || rule.items?.anyOf ? ruleLines(rule.items, `${path}[]`) : []),
    ...(rule.anyOf ?? []).filter((inner) => inner.type === 'object').flatMap((inner) => ruleLines(inner, path).slice(1)),
  ];
  return [line, ...below];
}

function typeOf(rule: Rule): string {
  if (rule.const !== undefined) return JSON.stringify(rule.const);
  if (rule.enum) return rule.enum.join(' | ');
  if (rule.anyOf) return [...new Set(rule.anyOf.map(typeOf))].join(' | ');
  if (rule.type === 'array' && rule.items) return `list of ${typeOf(rule.items)}`;
  return rule.type ?? 'anything';
}

const defaultOf = (rule: Rule): string => (rule.default === undefined ? '' : JSON.stringify(rule.default));
