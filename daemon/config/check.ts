/** Checks a raw tree against the schema: defaults are filled in, every problem is found and said with its place. */
import { parseDocument } from 'yaml'
import type { Field, Section } from './field.ts'
import { list } from './field.ts'
import { nearest } from './nearest.ts'
import { plain, type Tree } from './tree.ts'

/** What is wrong with one key. */
export interface Problem {
  readonly key: string
  /** What is wrong and what is allowed, with the place where it is written. */
  readonly text: string
}

/** The value of a section; problems are added to `problems`, with the default in place of what is wrong. */
export function checkSection(section: Section, tree: Tree | undefined, path: string, problems: Problem[]): object {
  const children = tree?.children ?? new Map<string, Tree>()
  if (tree && !tree.children && tree.value !== null) {
    problems.push(problem(path, tree, `must be a group of keys: ${list(Object.keys(section.fields), 'and')}`))
  }
  for (const [key, child] of children) {
    if (!Object.hasOwn(section.fields, key)) problems.push(unknownKey(dotted(path, key), key, child, section))
  }
  return Object.fromEntries(
    Object.entries(section.fields).map(([key, part]) => {
      const name = dotted(path, key)
      const child = children.get(key)
      if (part.kind === 'section') return [key, checkSection(part, child, name, problems)]
      return [key, child ? checkField(part, child, name, problems) : checkDefault(part, name, problems)]
    }),
  )
}

/** A problem about a key that nobody knows, with what was probably meant. */
export function unknownKey(name: string, key: string, tree: Tree, section: Section, others: string[] = []): Problem {
  const known = [...Object.keys(section.fields), ...others]
  const meant = deeper(section, key) ?? nearest(key, known)
  const hint = meant === undefined ? `known here: ${list(known, 'and')}` : `did you mean ${meant}?`
  return problem(name, tree, `unknown key; ${hint}`)
}

/** The dotted name of a key of that very name further down. */
function deeper(section: Section, key: string): string | undefined {
  for (const [name, part] of Object.entries(section.fields)) {
    if (part.kind !== 'section') continue
    const below = Object.hasOwn(part.fields, key) ? key : deeper(part, key)
    if (below !== undefined) return `${name}.${below}`
  }
  return undefined
}

export function problem(key: string, tree: Tree, text: string): Problem {
  return { key, text: `${text} (${tree.from})` }
}

/** Gives text of the environment or of a flag the type YAML would give it; text that is no YAML stays text. */
export function readText(text: string): unknown {
  const document = parseDocument(text)
  return document.errors.length > 0 ? text : document.toJS()
}

function checkField(field: Field<unknown>, tree: Tree, name: string, problems: Problem[]): unknown {
  for (const candidate of candidates(tree)) {
    const result = field.schema.safeParse(candidate)
    if (result.success) return result.data
  }
  const [value] = candidates(tree)
  problems.push(problem(name, tree, `${shown(value)} is not allowed; allowed: ${field.allowed}`))
  return field.byDefault()
}

/** A default that is found on the node, such as its host name, may be none that can be used. */
function checkDefault(field: Field<unknown>, name: string, problems: Problem[]): unknown {
  const value = field.byDefault()
  if (!field.schema.safeParse(value).success)
    problems.push({ key: name, text: `${shown(value)} is not allowed; allowed: ${field.allowed} (default)` })
  return value
}

/** Text may be meant as YAML, as itself, or as a list with commas; the first the schema accepts counts. */
function candidates(tree: Tree): unknown[] {
  if (tree.text === undefined) return [plain(tree, readText)]
  return [readText(tree.text), tree.text, tree.text.split(',').map(item => item.trim())]
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return 'an empty value'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

function dotted(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}
