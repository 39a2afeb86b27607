/**
 * Whether an object is what its schema says. Messages are those of the API server (k8s.io/kube-openapi
 * pkg/validation, k8s.io/apimachinery pkg/util/validation/field).
 */
import { isIP } from 'node:net'
import { equal, isObject, type Json, type JsonObject } from '../objects/json.ts'
import type { Cause } from '../status.ts'
import type { Schema } from './schema.ts'

/** All that is wrong; nothing for what is not there. `path` is where the value stands. */
export function validate(value: Json | undefined, schema: Schema, path = ''): Cause[] {
  if (value === undefined) return []
  if (value === null && schema.nullable) return []
  const wrong = ofWrongType(value, schema, path)
  if (wrong !== undefined) return [wrong]
  const causes = [...bounded(value, schema, path), ...combined(value, schema, path)]
  if (schema.enum !== undefined && !schema.enum.some(allowed => equal(allowed, value))) {
    const values = schema.enum.map(v => JSON.stringify(v)).join(', ')
    causes.push(cause('NotSupported', path, `Unsupported value: ${shown(value)}: supported values: ${values}`))
  }
  if (Array.isArray(value)) causes.push(...validateList(value, schema, path))
  else if (isObject(value)) causes.push(...validateObject(value, schema, path))
  return causes
}

export function cause(reason: string, field: string, message: string): Cause {
  return { reason: `FieldValue${reason}`, message, field }
}

export function invalidValue(field: string, value: Json, message: string): Cause {
  return cause('Invalid', field, `Invalid value: ${shown(value)}: ${message}`)
}

function validateObject(value: JsonObject, schema: Schema, path: string): Cause[] {
  const missing = schema.required.filter(name => value[name] === undefined)
  const members = Object.entries(value).flatMap(([name, member]) => {
    const known = Object.hasOwn(schema.properties, name) ? schema.properties[name] : schema.additional
    return known === undefined ? [] : validate(member, known, join(path, name))
  })
  return [...missing.map(name => cause('Required', join(path, name), 'Required value')), ...members]
}

function validateList(value: readonly Json[], schema: Schema, path: string): Cause[] {
  const { items } = schema
  const causes = items === undefined ? [] : value.flatMap((item, i) => validate(item, items, `${path}[${i}]`))
  const identity = identityOf(schema)
  if (identity === undefined) return causes
  const seen = new Set<string>()
  value.forEach((item, i) => {
    const id = JSON.stringify(identity(item))
    if (seen.has(id)) causes.push(cause('Duplicate', `${path}[${i}]`, `Duplicate value: ${id}`))
    seen.add(id)
  })
  return causes
}

/** What may stand in a list only once. */
function identityOf(schema: Schema): ((item: Json) => Json) | undefined {
  if (schema.listType === 'set') return item => item
  if (schema.listType !== 'map') return undefined
  return item => (isObject(item) ? Object.fromEntries(schema.listMapKeys.map(key => [key, item[key] ?? null])) : item)
}

function ofWrongType(value: Json, schema: Schema, path: string): Cause | undefined {
  const type = typeName(value)
  if (schema.intOrString) {
    if (type === 'integer' || type === 'string') return undefined
    return typeCause(value, path, 'integer,string')
  }
  const { type: want } = schema
  if (want === '' || want === type || (want === 'number' && type === 'integer')) return undefined
  return typeCause(value, path, want)
}

/** The API server names what it was given by its type. */
function typeCause(value: Json, path: string, want: string): Cause {
  const text = shown(typeName(value))
  return cause('TypeInvalid', path, `Invalid value: ${text}: ${path} in body must be of type ${want}: ${text}`)
}

function typeName(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

function bounded(value: Json, schema: Schema, path: string): Cause[] {
  const { bounds } = schema
  const wrong = (message: string): Cause[] => [invalidValue(path, value, `${path} in body ${message}`)]
  if (typeof value === 'number') {
    const { minimum: low = -Infinity, maximum: high = Infinity, multipleOf } = bounds
    const orEqual = (strict: boolean): string => (strict ? '' : 'or equal to ')
    if (value < low || (bounds.exclusiveMinimum && value === low))
      return wrong(`should be greater than ${orEqual(bounds.exclusiveMinimum)}${low}`)
    if (value > high || (bounds.exclusiveMaximum && value === high))
      return wrong(`should be less than ${orEqual(bounds.exclusiveMaximum)}${high}`)
    if (multipleOf !== undefined && value % multipleOf !== 0) return wrong(`should be a multiple of ${multipleOf}`)
    return []
  }
  if (typeof value === 'string') return boundedText(value, schema, path)
  const size = Array.isArray(value) ? value.length : isObject(value) ? Object.keys(value).length : 0
  const [low = 0, high = Infinity, what] = Array.isArray(value)
    ? [bounds.minItems, bounds.maxItems, 'items']
    : [bounds.minProperties, bounds.maxProperties, 'properties']
  if (size < low) return wrong(`should have at least ${low} ${what}`)
  if (size > high) return [cause('TooMany', path, `Too many: ${size}: must have at most ${high} items`)]
  return []
}

function boundedText(value: string, schema: Schema, path: string): Cause[] {
  const { minLength = 0, maxLength = Infinity } = schema.bounds
  const length = Array.from(value).length
  const wrong = (message: string): Cause => invalidValue(path, value, `${path} in body ${message}`)
  if (length > maxLength) return [cause('TooLong', path, `Too long: may not be more than ${maxLength} bytes`)]
  const causes: Cause[] = []
  if (length < minLength) causes.push(wrong(`should be at least ${minLength} chars long`))
  if (schema.pattern !== undefined && !schema.pattern.test(value))
    causes.push(wrong(`should match '${schema.pattern.source}'`))
  if (schema.format !== '' && FORMATS[schema.format]?.(value) === false)
    causes.push(wrong(`must be of type ${schema.format}: ${JSON.stringify(value)}`))
  return causes
}

/** Those of k8s.io/apiextensions-apiserver pkg/apiserver/validation/formats.go that our kinds could use. */
const FORMATS: Readonly<Record<string, (value: string) => boolean>> = {
  ipv4: value => isIP(value) === 4,
  ipv6: value => isIP(value) === 6,
  cidr: value => {
    const [, address = '', length = ''] = /^(.+)\/(\d{1,3})$/.exec(value) ?? []
    const family = isIP(address)
    return family !== 0 && Number(length) <= (family === 4 ? 32 : 128)
  },
  'date-time': value => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(value),
  mac: value => /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(value),
}

function combined(value: Json, schema: Schema, path: string): Cause[] {
  const holds = (inner: Schema): boolean => validate(value, inner, path).length === 0
  const wrong = (message: string): Cause => invalidValue(path, shownShort(value), `${path} in body ${message}`)
  const causes = schema.allOf.flatMap(inner => validate(value, inner, path))
  if (schema.anyOf.length > 0 && !schema.anyOf.some(holds))
    causes.push(wrong('must validate at least one schema (anyOf)'))
  const count = schema.oneOf.filter(holds).length
  if (schema.oneOf.length > 0 && count !== 1) {
    const found = count === 0 ? 'Found none valid' : `Found ${count} valid alternatives`
    causes.push(wrong(`must validate one and only one schema (oneOf). ${found}`))
  }
  if (schema.not !== undefined && holds(schema.not)) causes.push(wrong('must not validate the schema (not)'))
  return causes
}

function shownShort(value: Json): Json {
  return isObject(value) || Array.isArray(value) ? '' : value
}

function shown(value: Json): string {
  return JSON.stringify(value)
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
