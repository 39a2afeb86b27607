/** Label and field selectors as they stand in a query, and whether an object is selected. */
import { badRequest } from '../status.ts'

/** What an object is selected by. */
export interface Selectable {
  readonly namespace: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** By field path, those that the kind can be selected by. */
  readonly fields: Readonly<Record<string, string>>
}

/** Undefined selects everything. */
export type Selects = ((object: Selectable) => boolean) | undefined

type Requirement = (labels: Readonly<Record<string, string>>) => boolean

/**
 * `a=b,c!=d,e in (f,g),h notin (i),j,!k` (k8s.io/apimachinery pkg/labels).
 *
 * @throws ApiError 400 when it cannot be read
 */
function parseLabelSelector(text: string): Requirement[] {
  const parts = text.match(/(?:[^,(]|\([^)]*\))+/g) ?? []
  return parts.map(part => requirement(part.trim())).filter(r => r !== undefined)
}

function requirement(part: string): Requirement | undefined {
  if (part === '') return undefined
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(part)
  if (set) {
    const [, key = '', operator, list = ''] = set
    const values = list.split(',').map(v => v.trim())
    if (operator === 'in') return labels => labels[key] !== undefined && values.includes(labels[key])
    return labels => labels[key] === undefined || !values.includes(labels[key])
  }
  const compared = /^([^\s=!]+)\s*(==|=|!=)\s*(\S*)$/.exec(part)
  if (compared) {
    const [, key = '', operator, value = ''] = compared
    return operator === '!=' ? labels => labels[key] !== value : labels => labels[key] === value
  }
  const present = /^(!?)\s*([\w./-]+)$/.exec(part)
  if (!present) throw badRequest(`unable to parse requirement: couldn't parse the selector string "${part}"`)
  const [, not, key = ''] = present
  return not === '!' ? labels => labels[key] === undefined : labels => labels[key] !== undefined
}

/** `metadata.name=x,spec.nodeName!=y` (k8s.io/apimachinery pkg/fields); `known` are the fields the kind has. */
function parseFieldSelector(
  text: string,
  known: readonly string[],
): { field: string; equal: boolean; value: string }[] {
  return text
    .split(',')
    .filter(part => part !== '')
    .map(part => {
      const [, field = '', operator = '', value = ''] = /^(.+?)(==|=|!=)(.*)$/.exec(part) ?? []
      if (operator === '') throw badRequest(`invalid field selector: "${text}"; can't understand '${part}'`)
      if (field !== 'metadata.name' && field !== 'metadata.namespace' && !known.includes(field))
        throw badRequest(`field label not supported: ${field}`)
      return { field, equal: operator !== '!=', value }
    })
}

/** Both selectors of a request together. */
export function selection(labelSelector: string, fieldSelector: string, knownFields: readonly string[]): Selects {
  const labels = parseLabelSelector(labelSelector)
  const fields = parseFieldSelector(fieldSelector, knownFields)
  if (labels.length === 0 && fields.length === 0) return undefined
  return object =>
    labels.every(holds => holds(object.labels)) &&
    fields.every(({ field, equal, value }) => (fieldOf(object, field) === value) === equal)
}

function fieldOf(object: Selectable, field: string): string {
  if (field === 'metadata.name') return object.name
  if (field === 'metadata.namespace') return object.namespace
  return object.fields[field] ?? ''
}
