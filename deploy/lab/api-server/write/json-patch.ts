/** JSON patch (RFC 6902). */
import { copy, equal, isObject, type Json } from '../objects/json.ts'
import { ApiError, badRequest } from '../status.ts'

/** The patched value; `target` is left as it is. @throws ApiError 422 when a step cannot be done or a test fails */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations')
  const root: { value: Json | undefined } = { value: copy(target) }
  for (const step of patch) {
    if (!isObject(step) || typeof step['op'] !== 'string' || typeof step['path'] !== 'string')
      throw badRequest('an operation of a JSON patch has op and path')
    apply(root, step['op'], step['path'], step['from'], step['value'])
  }
  return root.value ?? null
}

type Root = { value: Json | undefined }

function apply(root: Root, op: string, path: string, from: Json | undefined, value: Json | undefined): void {
  switch (op) {
    case 'add':
      return add(root, path, value ?? null)
    case 'remove':
      read(root, path)
      return remove(root, path)
    case 'replace':
      read(root, path)
      return replace(root, path, value ?? null)
    case 'test':
      if (!equal(read(root, path), value ?? null)) throw failed(`testing value ${path} failed`)
      return
    case 'copy':
      return add(root, path, copy(read(root, source(from))))
    case 'move': {
      const moved = read(root, source(from))
      remove(root, source(from))
      return add(root, path, moved)
    }
    default:
      throw failed(`unexpected operation ${op}`)
  }
}

function read(root: Root, path: string): Json {
  let at = root.value
  for (const name of partsOf(path)) {
    if (Array.isArray(at)) at = at[indexIn(at, name)]
    else at = isObject(at) && Object.hasOwn(at, name) ? at[name] : undefined
  }
  if (at === undefined) throw failed(`doc is missing path: ${path}: missing value`)
  return at
}

function add(root: Root, path: string, value: Json): void {
  const { parent, name } = placeOf(root, path)
  if (Array.isArray(parent)) parent.splice(name === '-' ? parent.length : indexIn(parent, name, 1), 0, value)
  else if (isObject(parent)) parent[name] = value
  else root.value = value
}

function replace(root: Root, path: string, value: Json): void {
  const { parent, name } = placeOf(root, path)
  if (Array.isArray(parent)) parent[indexIn(parent, name)] = value
  else if (isObject(parent)) parent[name] = value
  else root.value = value
}

function remove(root: Root, path: string): void {
  const { parent, name } = placeOf(root, path)
  if (Array.isArray(parent)) parent.splice(indexIn(parent, name), 1)
  else if (isObject(parent)) delete parent[name]
  else root.value = undefined
}

/** The list or object that holds what a path names; neither for the root. */
function placeOf(root: Root, path: string): { parent: Json | undefined; name: string } {
  const parts = partsOf(path)
  if (parts.length === 0) return { parent: undefined, name: '' }
  const parent = read(root, path.slice(0, path.lastIndexOf('/')))
  if (typeof parent !== 'object' || parent === null) throw failed(`doc is missing path: ${path}`)
  return { parent, name: parts.at(-1) ?? '' }
}

/** An index in a list; `beyond` is 1 where its end counts too. */
function indexIn(list: readonly Json[], name: string, beyond = 0): number {
  if (!/^\d+$/.test(name) || Number(name) >= list.length + beyond) throw failed(`invalid array index: ${name}`)
  return Number(name)
}

function partsOf(path: string): string[] {
  return path
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function source(from: Json | undefined): string {
  if (typeof from !== 'string') throw failed('from is missing')
  return from
}

function failed(message: string): ApiError {
  return new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`)
}
