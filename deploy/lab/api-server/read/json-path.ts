/** As much of Kubernetes' JSONPath as printer columns use: names, indices, `[*]` and filters by equality. */
import { asText, isObject, type Json } from '../objects/json.ts'

type Step = (value: Json) => Json[]

/**
 * What a path such as `.status.conditions[?(@.type=="Ready")].status` leads to, in order; a path that cannot be read
 * leads nowhere.
 */
export function find(value: Json, path: string): Json[] {
  let found: Json[] = [value]
  for (const step of stepsOf(path)) found = found.flatMap(step)
  return found
}

const TOKEN =
  /\.?(?<name>[\w-]+(?:\\\.[\w-]+)*)|\.?\['(?<quoted>[^']+)'\]|\[(?<index>-?\d+)\]|(?<all>\.?\[?\*\]?)|\[\?\(@(?<filter>[^=]*)==\s*["']?(?<value>[^"')]*)["']?\)\]|(?<root>^\.$)/y

function stepsOf(path: string): Step[] {
  const steps: Step[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < path.length) {
    const groups = TOKEN.exec(path)?.groups
    if (groups === undefined) return [() => []]
    steps.push(stepOf(groups))
  }
  return steps
}

function stepOf(groups: Record<string, string | undefined>): Step {
  const { name, quoted, index, filter, value, root } = groups
  const member = quoted ?? name?.replaceAll('\\.', '.')
  if (member !== undefined) return at => (isObject(at) && at[member] !== undefined ? [at[member]] : [])
  if (index !== undefined) return at => (Array.isArray(at) ? at.slice(Number(index)).slice(0, 1) : [])
  if (filter !== undefined)
    return at => (Array.isArray(at) ? at.filter(item => find(item, filter).some(v => asText(v) === value)) : [])
  if (root !== undefined) return at => [at]
  return at => (Array.isArray(at) ? at : isObject(at) ? Object.values(at).filter(v => v !== undefined) : [])
}
