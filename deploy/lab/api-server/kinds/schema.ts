/**
 * The structural schema of a custom resource (CustomResourceDefinition spec.versions[].schema.openAPIV3Schema) as far
 * as this server reads it.
 */
import { isObject, type Json, type JsonObject, listAt, objectAt, texts } from '../objects/json.ts'
import { readRules, type Rule } from './rules.ts'
import type { Shape } from './shape.ts'

export interface Schema {
  readonly type: string
  readonly format: string
  readonly description: string
  readonly nullable: boolean
  readonly default: Json | undefined
  readonly properties: Readonly<Record<string, Schema>>
  readonly additional: Schema | undefined
  readonly items: Schema | undefined
  readonly required: readonly string[]
  readonly enum: readonly Json[] | undefined
  readonly bounds: Bounds
  readonly pattern: RegExp | undefined
  readonly allOf: readonly Schema[]
  readonly anyOf: readonly Schema[]
  readonly oneOf: readonly Schema[]
  readonly not: Schema | undefined
  readonly preserves: boolean
  readonly intOrString: boolean
  readonly embedded: boolean
  readonly listType: string
  readonly listMapKeys: readonly string[]
  readonly mapType: string
  readonly rules: readonly Rule[]
}

/** Undefined where there is no bound. */
export interface Bounds {
  readonly minimum: number | undefined
  readonly maximum: number | undefined
  readonly exclusiveMinimum: boolean
  readonly exclusiveMaximum: boolean
  readonly multipleOf: number | undefined
  readonly minLength: number | undefined
  readonly maxLength: number | undefined
  readonly minItems: number | undefined
  readonly maxItems: number | undefined
  readonly minProperties: number | undefined
  readonly maxProperties: number | undefined
}

/** Reads a schema; `path` is where it stands, for what it throws: an Error with a sentence. */
export function readSchema(value: Json | undefined, path = 'openAPIV3Schema'): Schema {
  if (value !== undefined && !isObject(value)) throw new Error(`${path}: must be an object`)
  const from: JsonObject = value ?? {}
  const several = (name: string): Schema[] => listAt(from, name).map((s, i) => readSchema(s, `${path}.${name}[${i}]`))
  const additional = from['additionalProperties']
  return {
    type: text(from['type']),
    format: text(from['format']),
    description: text(from['description']),
    nullable: from['nullable'] === true,
    default: from['default'],
    properties: mapValues(objectAt(from, 'properties'), (name, s) => readSchema(s, `${path}.properties[${name}]`)),
    additional: isObject(additional) ? readSchema(additional, `${path}.additionalProperties`) : undefined,
    items: isObject(from['items']) ? readSchema(from['items'], `${path}.items`) : undefined,
    required: texts(listAt(from, 'required')),
    enum: Array.isArray(from['enum']) ? from['enum'] : undefined,
    bounds: readBounds(from),
    pattern: readPattern(from['pattern'], path),
    allOf: several('allOf'),
    anyOf: several('anyOf'),
    oneOf: several('oneOf'),
    not: isObject(from['not']) ? readSchema(from['not'], `${path}.not`) : undefined,
    preserves: from['x-kubernetes-preserve-unknown-fields'] === true || additional === true,
    intOrString: from['x-kubernetes-int-or-string'] === true,
    embedded: from['x-kubernetes-embedded-resource'] === true,
    listType: text(from['x-kubernetes-list-type']),
    listMapKeys: texts(listAt(from, 'x-kubernetes-list-map-keys')),
    mapType: text(from['x-kubernetes-map-type']),
    rules: readRules(from, path),
  }
}

/** Which lists of objects of this schema are merged. */
export function shapeOf(schema: Schema): Shape {
  return {
    fields: mapValues(schema.properties, (_, property) => shapeOf(property)),
    ...(schema.additional === undefined ? {} : { values: shapeOf(schema.additional) }),
    ...(schema.listType === 'map' ? { keys: schema.listMapKeys } : {}),
    ...(schema.listType === 'set' ? { set: true } : {}),
    ...(schema.items === undefined ? {} : { items: shapeOf(schema.items) }),
    ...(schema.mapType === 'atomic' ? { atomic: true } : {}),
  }
}

function readBounds(from: JsonObject): Bounds {
  return {
    minimum: number(from['minimum']),
    maximum: number(from['maximum']),
    exclusiveMinimum: from['exclusiveMinimum'] === true,
    exclusiveMaximum: from['exclusiveMaximum'] === true,
    multipleOf: number(from['multipleOf']),
    minLength: number(from['minLength']),
    maxLength: number(from['maxLength']),
    minItems: number(from['minItems']),
    maxItems: number(from['maxItems']),
    minProperties: number(from['minProperties']),
    maxProperties: number(from['maxProperties']),
  }
}

function readPattern(value: Json | undefined, path: string): RegExp | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  try {
    return new RegExp(value, 'u')
  } catch (error) {
    throw new Error(`${path}.pattern: must be a valid regular expression, but isn't: ${value}`, { cause: error })
  }
}

function mapValues<V, T>(from: Readonly<Record<string, V>>, make: (name: string, value: V) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, make(name, value)]))
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}

function number(value: Json | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined
}
