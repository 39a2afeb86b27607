/**
 * Sets of fields of an object, as `metadata.managedFields` names them (FieldsV1: `f:` a member, `k:` an entry of a list by
 * its keys, `v:` a value of a set, `.` the entry itself). A set here is a map from a path's text to the path.
 */
import type { Shape } from '../kinds/shape.ts'
import { equal, isObject, type Json, type JsonObject } from '../objects/json.ts'
import { memberShape } from './strategic-merge.ts'

export type FieldPath = readonly string[]
export type FieldSet = ReadonlyMap<string, FieldPath>

const SEPARATOR = '\0'
const ITSELF = '.'

/** All leaves of a value. Lists that are not merged are one leaf. */
export function fieldsOf(value: Json | undefined, shape: Shape | undefined): Map<string, FieldPath> {
  const set = new Map<string, FieldPath>()
  collect(value, shape, [], set)
  return set
}

function collect(
  value: Json | undefined,
  shape: Shape | undefined,
  path: FieldPath,
  set: Map<string, FieldPath>,
): void {
  if (value === undefined) return
  const add = (leaf: FieldPath): void => void set.set(leaf.join(SEPARATOR), leaf)
  if (isObject(value) && shape?.atomic !== true && Object.keys(value).length > 0) {
    for (const [name, member] of Object.entries(value))
      collect(member, memberShape(shape, name), [...path, `f:${name}`], set)
  } else if (Array.isArray(value) && shape?.keys !== undefined) {
    for (const entry of value) {
      const at = [...path, keyOf(entry, shape.keys)]
      add([...at, ITSELF])
      collect(entry, shape.items, at, set)
    }
  } else if (Array.isArray(value) && shape?.set === true) {
    for (const each of value) add([...path, `v:${JSON.stringify(each)}`])
  } else add(path)
}

/** A key that an entry leaves out has its default, of which there is one: the protocol of a port. */
export function keyOf(entry: Json, keys: readonly string[]): string {
  const at = isObject(entry) ? entry : {}
  const values = keys.map(key => [key, at[key] ?? (key === 'protocol' ? 'TCP' : null)] as const)
  return `k:${JSON.stringify(Object.fromEntries(values.filter(([, value]) => value !== null)))}`
}

/** The set as it stands in an object. */
export function writeFields(set: FieldSet): JsonObject {
  const root: JsonObject = {}
  for (const path of set.values()) {
    let at = root
    for (const element of path) {
      const inner = at[element]
      const next = isObject(inner) ? inner : {}
      at[element] = next
      at = next
    }
  }
  return root
}

export function readFields(fields: Json | undefined): Map<string, FieldPath> {
  const set = new Map<string, FieldPath>()
  const walk = (at: Json | undefined, path: FieldPath): void => {
    if (!isObject(at)) return
    const members = Object.entries(at)
    if (members.length === 0 && path.length > 0) set.set(path.join(SEPARATOR), path)
    for (const [element, inner] of members) walk(inner, [...path, element])
  }
  walk(fields, [])
  return set
}

/** What stands at a path; for an entry itself, true when it is there. */
export function valueOf(object: Json | undefined, path: FieldPath): Json | undefined {
  let at = object
  for (const element of path) {
    if (at === undefined || element === ITSELF) break
    at = step(at, element)
  }
  return path.at(-1) === ITSELF && at !== undefined ? true : at
}

function step(at: Json, element: string): Json | undefined {
  const rest = element.slice(2)
  if (element.startsWith('f:')) return isObject(at) ? at[rest] : undefined
  if (!Array.isArray(at)) return undefined
  return at[indexOf(at, element)]
}

function indexOf(list: readonly Json[], element: string): number {
  const wanted = JSON.parse(element.slice(2)) as Json
  if (element.startsWith('v:')) return list.findIndex(value => equal(value, wanted))
  const keys = isObject(wanted) ? Object.keys(wanted) : []
  return list.findIndex(entry => keyOf(entry, keys) === element)
}

/** Takes what a path names out of an object, in place, and what is empty thereafter. */
export function removeAt(object: Json, path: FieldPath): void {
  const [element = '', ...rest] = path
  if (rest.length > 0 && rest[0] !== ITSELF) {
    const inner = step(object, element)
    if (inner === undefined) return
    removeAt(inner, rest)
    if (!isEmpty(inner)) return
  }
  if (element.startsWith('f:')) {
    if (isObject(object)) delete object[element.slice(2)]
  } else if (Array.isArray(object)) {
    const index = indexOf(object, element)
    if (index >= 0) object.splice(index, 1)
  }
}

function isEmpty(value: Json): boolean {
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0
}

/** As messages name a path: `.spec.ports[port=80,protocol="TCP"].name`. */
export function pathText(path: FieldPath): string {
  return path
    .filter(element => element !== ITSELF)
    .map(element => {
      if (element.startsWith('f:')) return `.${element.slice(2)}`
      const value = JSON.parse(element.slice(2)) as Json
      if (!isObject(value)) return `[=${JSON.stringify(value)}]`
      return `[${Object.entries(value)
        .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
        .join(',')}]`
    })
    .join('')
}
