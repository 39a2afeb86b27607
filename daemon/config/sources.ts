/**
 * The three places a configuration is written in: a YAML file, the environment and `--set` flags. Each becomes a tree
 * of keys that know where they were written; nothing is checked here but the form.
 */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import { ConfigError, messageOf } from '../errors.ts'
import type { Shape } from './field.ts'
import { schema } from './schema.ts'
import { single, type Tree } from './tree.ts'

/** Reads the text of a configuration file; throws ConfigError with file and line when it is not YAML. */
export function fromFile(file: string, source: string): Tree {
  const lines = new LineCounter()
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false, merge: true })
  const broken = document.errors[0]
  const place = (offset: number): string => `${file}:${lines.linePos(offset).line}`
  if (broken) throw new ConfigError(place(broken.pos[0]), `not valid YAML: ${firstLine(broken.message)}`)
  if (document.contents === null) return { from: file, children: new Map() }
  if (!isMap(document.contents)) throw new ConfigError(`${file}:1`, 'the file must hold a mapping of keys to values')
  refuseMultiplying(document, file)
  return treeOf(document, document.contents, { from: file, place, around: [] })
}

/** Aliases may be nested so that they multiply; the YAML library counts them while it makes plain values. */
function refuseMultiplying(document: Document, file: string): void {
  try {
    document.toJS()
  } catch (cause) {
    throw new ConfigError(file, `not usable YAML: ${firstLine(messageOf(cause))}`, { cause })
  }
}

interface At {
  readonly from: string
  readonly place: (offset: number) => string
  /** The groups and lists that the node stands in. */
  readonly around: readonly unknown[]
}

/** What an alias (`*name`) stands for is read as if it stood there; so are the keys of a merge (`<<: *name`). */
function treeOf(document: Document, node: unknown, at: At): Tree {
  if (isAlias(node)) return treeOf(document, node.resolve(document), at)
  const { from, place } = at
  if (at.around.includes(node))
    throw new ConfigError(from, 'not usable YAML: an alias stands within what it stands for')
  const below = (inner: unknown, named: unknown): Tree => {
    const start = isNode(named) && named.range ? place(named.range[0]) : from
    return treeOf(document, inner, { from: start, place, around: [...at.around, node] })
  }
  if (isSeq(node)) return { from, value: node.toJS(document), items: node.items.map(item => below(item, item)) }
  if (!isMap(node)) return { from, value: isNode(node) ? node.toJS(document) : null }
  const merged = new Map<string, Tree>()
  const own = new Map<string, Tree>()
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : String(key)
    const tree = below(value, key)
    // A merge's key, which is no text; of several groups the first that has a key counts (YAML 1.1, "Merge Key").
    if (isScalar(key) && typeof key.value === 'symbol')
      for (const group of (tree.items ?? [tree]).toReversed())
        for (const entry of group.children ?? []) merged.set(...entry)
    else own.set(name, tree)
  }
  return { from, children: new Map([...merged, ...own]) }
}

/** Reads settings that are values already; `from` is where they are from as a whole. */
export function fromObject(from: string, value: unknown): Tree {
  if (Array.isArray(value)) return { from, value, items: value.map(item => fromObject(from, item)) }
  if (typeof value !== 'object' || value === null) return { from, value }
  return { from, children: new Map(Object.entries(value).map(([key, inner]) => [key, fromObject(from, inner)])) }
}

/** Reads `key.path=value`. */
export function fromFlag(flag: string): Tree {
  const at = flag.indexOf('=')
  const path = flag.slice(0, at).split('.')
  if (at < 1 || path.includes('')) throw new ConfigError(`--set ${flag}`, 'must have the form key.path=value')
  return single(path, { from: `--set ${flag.slice(0, at)}`, text: flag.slice(at + 1) })
}

/** Kubernetes gives every container such variables for each Service; one named `causeway…` would look like ours. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/
/** Variables of the command itself, and switches of tests. */
const RESERVED = /^CAUSEWAY_(CONFIG|SOCKET|TEST_.*)$/

/**
 * Reads the variables `CAUSEWAY_<KEY>`, in which `__` stands for a dot: `CAUSEWAY_ROUTING__MODE` is `routing.mode`.
 * Case, `-` and single `_` do not matter to known keys (`CAUSEWAY_NODE_NAME`, `CAUSEWAY_NODENAME`). Inside a plugin's
 * section, upper-case names become camelCase; others are taken as written.
 */
export function fromEnvironment(env: Readonly<Record<string, string | undefined>>, plugins: readonly string[]): Tree[] {
  const trees: Tree[] = []
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith('CAUSEWAY_') || RESERVED.test(name)) continue
    const { path, known } = keyPath(name.slice('CAUSEWAY_'.length).split('__'), plugins)
    if (known || !SERVICE_LINK.test(name)) trees.push(single(path, { from: `environment ${name}`, text }))
  }
  return trees
}

function keyPath(parts: readonly string[], plugins: readonly string[]): { path: string[]; known: boolean } {
  const path: string[] = []
  let shape: Shape | undefined = schema.fields
  let known = true
  for (const part of parts) {
    const names: string[] = shape ? Object.keys(shape) : []
    if (path.length === 0) names.push(...plugins)
    const name = names.find(n => bare(n) === bare(part))
    if (shape && name === undefined) known = false
    path.push(name ?? camelCase(part))
    const next: Shape[string] | undefined = name === undefined ? undefined : shape?.[name]
    shape = next?.kind === 'section' ? next.fields : undefined
  }
  return { path, known }
}

function bare(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, '')
}

function camelCase(name: string): string {
  if (/[a-z]/.test(name)) return name
  return name.toLowerCase().replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? ''
}
