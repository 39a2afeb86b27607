/** Defaults and the removal of unknown fields, as the API server does both with custom resources. */
import { copy, isObject, type Json } from '../objects/json.ts'
import type { Schema } from './schema.ts'

/** Members of every object, which its own schema need not name. */
const OF_AN_OBJECT = ['apiVersion', 'kind', 'metadata']

/** Puts defaults in where a member is missing (or is null and may not be), in place. */
export function setDefaults(value: Json | undefined, schema: Schema): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) setDefaults(item, schema.items)
  } else if (isObject(value)) {
    for (const [name, property] of Object.entries(schema.properties)) {
      const present = value[name]
      const missing = present === undefined || (present === null && !property.nullable)
      if (missing && property.default !== undefined) value[name] = copy(property.default)
      setDefaults(value[name], property)
    }
    if (schema.additional === undefined) return
    for (const [name, member] of Object.entries(value))
      if (!Object.hasOwn(schema.properties, name)) setDefaults(member, schema.additional)
  }
}

/** Removes members the schema does not name, in place; the answer is their paths, such as `spec.colour`. */
export function prune(value: Json | undefined, schema: Schema, path = '', root = true): string[] {
  if (Array.isArray(value)) {
    const { items } = schema
    return items === undefined ? [] : value.flatMap((item, i) => prune(item, items, `${path}[${i}]`, false))
  }
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([name, member]) => {
    if ((root || schema.embedded) && OF_AN_OBJECT.includes(name)) return []
    const inner = path === '' ? name : `${path}.${name}`
    const known = Object.hasOwn(schema.properties, name) ? schema.properties[name] : schema.additional
    if (known !== undefined) return prune(member, known, inner, false)
    if (schema.preserves) return []
    delete value[name]
    return [inner]
  })
}
