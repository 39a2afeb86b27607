/** Evaluates templates of the subset as Go's text/template and the functions of helm do, but stricter about what is not there. */
import { stringify } from 'yaml'
import { type Place, TemplateError } from './subset.ts'
import type { Body, Expression, Template } from './template-parser.ts'

/** What helm and Kubernetes read: `no`, `on` and the like are truth values, and text only in quotes. */
export const YAML = { version: '1.1' } as const

/** What templates find at their root. */
export interface Root {
  readonly Values: Readonly<Record<string, unknown>>
  readonly Release: Readonly<Record<'Name' | 'Namespace' | 'Service', string>>
  readonly Chart: Readonly<Record<'Name' | 'Version' | 'AppVersion', string>>
}

/** Text of a file of the chart; undefined when there is none. */
export type ReadFile = (path: string) => string | undefined

/** Templates together: each sees the definitions of all. */
export class Templates {
  readonly #definitions = new Map<string, Body>()
  readonly #read: ReadFile

  constructor(templates: readonly Template[], read: ReadFile) {
    for (const { definitions } of templates)
      for (const [name, body] of definitions) {
        if (this.#definitions.has(name)) throw new RangeError(`"${name}" is defined in two files`)
        this.#definitions.set(name, body)
      }
    this.#read = read
  }

  /** Throws TemplateError where a value is missing or of a kind that a function does not take. */
  render(template: Template, root: Root): string {
    return this.#body(template.body, { dot: root, root, variables: new Map() })
  }

  #body(body: Body, scope: Scope): string {
    return body.map(node => this.#node(node, scope)).join('')
  }

  #node(node: Body[number], scope: Scope): string {
    switch (node.kind) {
      case 'text':
        return node.text
      case 'print':
        return print(node, this.#value(node, node.value, scope))
      case 'if':
        return this.#body(isTrue(this.#value(node, node.condition, scope)) ? node.then : node.otherwise, scope)
      case 'range': {
        const items = itemsOf(node, this.#value(node, node.over, scope))
        if (items.length === 0) return this.#body(node.otherwise, scope)
        const [key = '', item = ''] = node.variables
        return items
          .map(([name, dot]) => {
            const variables = new Map([...scope.variables, [key, name], [item, dot]])
            return this.#body(node.body, { ...scope, dot, variables })
          })
          .join('')
      }
    }
  }

  #value(place: Place, expression: Expression, scope: Scope): unknown {
    switch (expression.kind) {
      case 'value':
        return expression.value
      case 'field':
        return field(place, expression, scope)
      case 'file': {
        const path = text(place, this.#value(place, expression.path, scope))
        const found = this.#read(path)
        if (found === undefined) throw new TemplateError(place, `the chart has no file ${path}`)
        return found
      }
      case 'call': {
        const args = expression.args.map(arg => this.#value(place, arg, scope))
        if (expression.name !== 'include') return call(place, expression.name, args)
        const name = text(place, args[0])
        const body = this.#definitions.get(name)
        if (!body) throw new TemplateError(place, `"${name}" is not defined`)
        return this.#body(body, { dot: args[1], root: args[1], variables: new Map() })
      }
    }
  }
}

interface Scope {
  readonly dot: unknown
  /** What `$` is: the value that the template or the definition was given. */
  readonly root: unknown
  readonly variables: ReadonlyMap<string, unknown>
}

function field(place: Place, { base, path }: Expression & { kind: 'field' }, scope: Scope): unknown {
  const dotted = `${base === '.' ? '' : base}.${path.join('.')}`
  if (base.length > 1 && !scope.variables.has(base)) throw new TemplateError(place, `${base} is no variable here`)
  let value = base === '.' ? scope.dot : base === '$' ? scope.root : scope.variables.get(base)
  path.forEach((key, depth) => {
    const here = isMap(value) && Object.hasOwn(value, key) ? value : undefined
    // A key of an item may be left out, one of values.yaml may not: it would be misspelt.
    if (!here && (path[0] === 'Values' || depth < path.length - 1 || !isMap(value)))
      throw new TemplateError(place, `${dotted}: there is no ${key}`)
    value = here?.[key]
  })
  return value
}

function call(place: Place, name: string, args: readonly unknown[]): unknown {
  const [first, second] = args
  switch (name) {
    case 'toYaml':
      return stringify(first, {
        ...YAML,
        sortMapEntries: true,
        lineWidth: 0,
        indentSeq: false,
        aliasDuplicateObjects: false,
      }).trimEnd()
    case 'nindent': {
      if (typeof first !== 'number') throw new TemplateError(place, 'nindent takes a number of spaces')
      const pad = ' '.repeat(first)
      return `\n${pad}${text(place, second).replaceAll('\n', `\n${pad}`)}`
    }
    case 'quote':
      return JSON.stringify(print(place, first))
    case 'default':
      return isTrue(second) ? second : first
    case 'eq':
      if (typeof first !== typeof second || !['string', 'boolean'].includes(typeof first))
        throw new TemplateError(place, 'eq compares two texts or two truth values')
      return first === second
    case 'and':
      return args.find(arg => !isTrue(arg)) ?? args.at(-1)
    case 'or':
      return args.find(isTrue) ?? args.at(-1)
    case 'not':
      return !isTrue(first)
    default:
      throw new TemplateError(place, `${name} has no meaning here`)
  }
}

/** Entries in the order of Go's templates: of a list as they stand, of a map by key. */
function itemsOf(place: Place, value: unknown): (readonly [unknown, unknown])[] {
  if (value === undefined) return []
  if (Array.isArray(value)) return value.map((item, index) => [index, item] as const)
  if (isMap(value)) return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  throw new TemplateError(place, 'range takes a list or a map')
}

/** helm reads numbers as floating point and prints those from a million with an exponent. */
const LEAST_WITH_EXPONENT = 1_000_000

function print(place: Place, value: unknown): string {
  if (typeof value === 'string' || typeof value === 'boolean') return String(value)
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < LEAST_WITH_EXPONENT)
    return String(value)
  throw new TemplateError(place, `${JSON.stringify(value)} cannot be printed: use toYaml or default`)
}

function text(place: Place, value: unknown): string {
  if (typeof value === 'string') return value
  throw new TemplateError(place, `${JSON.stringify(value)} is no text`)
}

/** What Go's templates take for true: all but nothing, zero and what is empty. */
function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  return isMap(value) ? Object.keys(value).length > 0 : Boolean(value)
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
