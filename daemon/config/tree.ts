/**
 * Raw configuration from any source: a tree of keys, each of which knows where it was written. Trees are merged, later
 * sources over earlier ones, before anything is checked.
 */

export interface Tree {
  /** Where it was written, such as `/etc/causeway/config.yaml:12` or `--set mtu`. */
  readonly from: string
  /** Keys of a group; undefined for a value. */
  readonly children?: ReadonlyMap<string, Tree>
  readonly value?: unknown
  /** Items of a list, only for their places; `value` holds the list. */
  readonly items?: readonly Tree[]
  /** Text of the environment or the command line, whose type the schema decides. */
  readonly text?: string
}

/** `over` laid over `under`: groups key by key, values and lists as a whole. */
export function merge(under: Tree, over: Tree): Tree {
  if (!under.children || !over.children) return over
  const children = new Map(under.children)
  for (const [key, tree] of over.children) {
    const old = children.get(key)
    children.set(key, old ? merge(old, tree) : tree)
  }
  return { from: over.from, children }
}

/** A tree that holds one value at a path. */
export function single(path: readonly string[], value: { readonly from: string; readonly text: string }): Tree {
  const [first, ...rest] = path
  if (first === undefined) return value
  return { from: value.from, children: new Map([[first, single(rest, value)]]) }
}

/** Where a dotted key was written: its own place, or that of the nearest group or list around it. */
export function locate(tree: Tree, key: string): string | undefined {
  let here: Tree = tree
  let found: string | undefined
  for (const part of key.split('.')) {
    const next: Tree | undefined = here.children?.get(part) ?? here.items?.[Number(part)]
    if (!next) break
    found = next.from
    here = next
  }
  return found
}

/** The plain value of a tree; `read` gives text its type. */
export function plain(tree: Tree, read: (text: string) => unknown): unknown {
  if (tree.children) return Object.fromEntries([...tree.children].map(([key, child]) => [key, plain(child, read)]))
  return tree.text === undefined ? tree.value : read(tree.text)
}
