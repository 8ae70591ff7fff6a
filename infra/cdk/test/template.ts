import * as fs from 'node:fs';
import * as path from 'node:path';
import { parse, type ScalarTag, type CollectionTag, YAMLMap, YAMLSeq } from 'yaml';

/** JSON. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type Members = { [name: string]: Json };

export interface Resource {
  readonly Type: string;
  readonly Condition?: string;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly Properties: Members;
}

export interface Template {
  readonly Parameters: Record<string, Members>;
  readonly Conditions: Members;
  readonly Globals: Members;
  readonly Resources: Record<string, Resource>;
  readonly Outputs: Record<string, Members>;
}

/** infra/template.yaml, with the long form of CloudFormation's functions. */
export function readTemplate(): Template {
  const text = fs.readFileSync(path.join(__dirname, '../../template.yaml'), 'utf8');
  const names = ['Ref', 'GetAtt', 'Sub', 'If', 'Equals', 'Not', 'And', 'Or', 'Join', 'Select', 'Split', 'ImportValue'];
  const long = (name: string): string => (name === 'Ref' ? name : `Fn::${name}`);
  const scalars: ScalarTag[] = names.map((name) => ({
    tag: `!${name}`,
    resolve: (value) => ({ [long(name)]: name === 'GetAtt' ? value.split('.') : value }),
  }));
  const lists: CollectionTag[] = names.map((name) => ({
    tag: `!${name}`,
    collection: 'seq',
    nodeClass: YAMLSeq,
    resolve: (list) => {
      const map = new YAMLMap();
      map.set(long(name), list);
      return map;
    },
  }));
  return parse(text, { customTags: [...scalars, ...lists] }) as Template;
}

/** A template whose parameters have values. */
export class Resolved {
  constructor(
    private readonly template: Template,
    private readonly parameters: Record<string, string>,
    private readonly stackName: string,
  ) {}

  /** Whether a condition holds. */
  holds(name: string): boolean {
    return this.truth(this.template.Conditions[name] ?? null);
  }

  /** The resources that are made. */
  resources(): Record<string, Resource> {
    const made = Object.entries(this.template.Resources).filter(
      ([, resource]) => resource.Condition === undefined || this.holds(resource.Condition),
    );
    return Object.fromEntries(made);
  }

  /** A value without conditions and parameters; `undefined` where it is none. */
  value(value: Json): Json | undefined {
    if (Array.isArray(value)) {
      return value.map((item) => this.value(item)).filter((item) => item !== undefined);
    }
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    if ('Ref' in value) {
      const name = String(value['Ref']);
      if (name === 'AWS::NoValue') return undefined;
      if (name === 'AWS::StackName') return this.stackName;
      const parameter = this.template.Parameters[name];
      return parameter === undefined ? value : this.parameter(name, parameter);
    }
    if ('Fn::If' in value) {
      const [condition, yes, no] = value['Fn::If'] as [string, Json, Json];
      return this.value(this.holds(condition) ? yes : no);
    }
    if ('Fn::Sub' in value) {
      const text = String(value['Fn::Sub']).replaceAll('${AWS::StackName}', this.stackName);
      const named = (all: string, name: string): string =>
        name in this.template.Parameters ? String(this.parameters[name]) : all;
      return { 'Fn::Sub': text.replaceAll(/\$\{(\w+)\}/g, named) };
    }
    const members = Object.entries(value).map(([name, member]) => [name, this.value(member)] as const);
    return Object.fromEntries(members.filter((pair): pair is [string, Json] => pair[1] !== undefined));
  }

  private parameter(name: string, parameter: Members): Json {
    const value = this.parameters[name] ?? '';
    return parameter['Type'] === 'CommaDelimitedList' ? value.split(',').filter((item) => item !== '') : value;
  }

  private truth(condition: Json): boolean {
    const [name, operands] = Object.entries(condition as Members)[0] as [string, Json[]];
    switch (name) {
      case 'Fn::Not':
        return !this.truth(operands[0] as Json);
      case 'Fn::Equals': {
        const [one, other] = operands.map((operand) => canonical(this.value(operand) ?? null, {}));
        return one === other;
      }
      default:
        throw new Error(`no such condition here: ${name}`);
    }
  }
}

/**
 * A value of which equal ones are alike: functions that make a text are that text with `${…}` in it, scalars are texts, a list of
 * one is its item, and what has no order is in order.
 *
 * @param ids the template's names for what has others here
 */
export function canonical(value: Json, ids: Record<string, string>): Json {
  if (Array.isArray(value)) {
    const items = value.map((item) => canonical(item, ids));
    items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    return items.length === 1 ? (items[0] as Json) : items;
  }
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'string' ? plain(value) : String(value);
  }
  const named = (id: string): string => ids[id] ?? id;
  if ('Ref' in value) return `\${${named(String(value['Ref']))}}`;
  if ('Fn::GetAtt' in value) {
    const [id, ...attribute] = value['Fn::GetAtt'] as [string, ...string[]];
    return `\${${[named(id), ...attribute].join('.')}}`;
  }
  if ('Fn::Sub' in value) return String(value['Fn::Sub']);
  if ('Fn::Join' in value) {
    const [delimiter, items] = value['Fn::Join'] as [string, Json[]];
    return items.map((item) => String(canonical(item, ids))).join(delimiter);
  }
  const members = Object.entries(value).map(([name, member]) => [name, canonical(member, ids)] as const);
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A text that holds JSON, as all who write that JSON write it. */
function plain(text: string): Json {
  return text.startsWith('{') ? JSON.stringify(JSON.parse(text)) : text;
}
