/**
 * Strategic merge patch (kubernetes community, sig-api-machinery/strategic-merge-patch.md): a merge patch whose lists
 * are merged entry by entry where the kind's shape says so, with directives that begin with `$`.
 */
import type { Shape } from '../kinds/shape.ts'
import { equal, isObject, type Json, type JsonObject } from '../objects/json.ts'
import { badRequest } from '../status.ts'

const ORDER = '$setElementOrder/'
const DELETE = '$deleteFromPrimitiveList/'

/** The patched value; `target` is left as it is. */
export function strategicMerge(target: Json | undefined, patch: JsonObject, shape: Shape | undefined): JsonObject {
  const { $patch: directive, $retainKeys: retained, ...members } = patch
  if (directive === 'delete') return {}
  if (directive === 'replace') return members
  const merged = isObject(target) ? retain(target, retained) : {}
  for (const [name, value] of Object.entries(members)) {
    if (name.startsWith(ORDER)) continue
    if (name.startsWith(DELETE)) drop(merged, name.slice(DELETE.length), value)
    else if (value === null) delete merged[name]
    else if (value !== undefined) merged[name] = mergeMember(merged[name], value, memberShape(shape, name))
  }
  for (const [name, order] of Object.entries(members))
    if (name.startsWith(ORDER)) reorder(merged, name.slice(ORDER.length), order, shape)
  return merged
}

function mergeMember(target: Json | undefined, patch: Json, shape: Shape | undefined): Json {
  if (isObject(patch)) return strategicMerge(target, patch, shape)
  if (!Array.isArray(patch)) return patch
  const have = Array.isArray(target) ? target : []
  const key = mergeKey(shape)
  if (key !== undefined) return mergeEntries(have, patch, key, shape?.items)
  if (shape?.set === true) return [...have, ...patch.filter(value => !have.some(known => equal(known, value)))]
  return patch
}

function mergeEntries(have: readonly Json[], patch: readonly Json[], key: string, shape: Shape | undefined): Json[] {
  const replaces = patch.some(entry => isObject(entry) && entry['$patch'] === 'replace')
  const merged: Json[] = replaces ? [] : [...have]
  for (const entry of patch) {
    if (!isObject(entry)) throw badRequest(`map: ${JSON.stringify(entry)} is not an entry with the merge key ${key}`)
    if (entry['$patch'] === 'replace') continue
    if (entry[key] === undefined)
      throw badRequest(`map: ${JSON.stringify(entry)} does not contain declared merge key: ${key}`)
    const at = merged.findIndex(known => isObject(known) && equal(known[key], entry[key]))
    if (entry['$patch'] === 'delete') {
      if (at >= 0) merged.splice(at, 1)
    } else if (at >= 0) merged[at] = strategicMerge(merged[at], entry, shape)
    else merged.push(strategicMerge({}, entry, shape))
  }
  return merged
}

function retain(target: JsonObject, retained: Json | undefined): JsonObject {
  if (!Array.isArray(retained)) return { ...target }
  return Object.fromEntries(Object.entries(target).filter(([name]) => retained.includes(name)))
}

function drop(merged: JsonObject, name: string, values: Json | undefined): void {
  const have = merged[name]
  if (!Array.isArray(have) || !Array.isArray(values)) return
  merged[name] = have.filter(value => !values.some(gone => equal(gone, value)))
}

/** Entries the patch puts in an order stand in it; those it does not name come after them as they were. */
function reorder(merged: JsonObject, name: string, order: Json | undefined, shape: Shape | undefined): void {
  const have = merged[name]
  if (!Array.isArray(have) || !Array.isArray(order)) return
  const key = mergeKey(memberShape(shape, name))
  const identity = (value: Json): Json | undefined => (key !== undefined && isObject(value) ? value[key] : value)
  const rank = (value: Json): number => {
    const at = order.findIndex(ordered => equal(identity(ordered), identity(value)))
    return at < 0 ? order.length : at
  }
  merged[name] = [...have].sort((a, b) => rank(a) - rank(b))
}

function mergeKey(shape: Shape | undefined): string | undefined {
  return shape?.patchKey ?? shape?.keys?.[0]
}

export function memberShape(shape: Shape | undefined, name: string): Shape | undefined {
  return shape?.fields?.[name] ?? shape?.values
}
