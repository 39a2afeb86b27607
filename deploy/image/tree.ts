/** Files as an image has them: by path, with nothing of the machine that they come from. */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'

export type Entry =
  | { readonly kind: 'file'; readonly mode: number; readonly content: FileContent }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'directory'; readonly mode: number }
/** Bytes, or the path of a file of this machine that is read when it is needed. */
export type FileContent = Uint8Array | { readonly file: string }

/** By path without the leading slash. Folders need an entry only when their mode is not 0755. */
export type Tree = ReadonlyMap<string, Entry>

export const EXECUTABLE = 0o755
export const READABLE = 0o644

/** A file of this machine. */
export function fileOf(file: string, mode: number = READABLE): Entry {
  return { kind: 'file', mode, content: { file } }
}
export function textOf(text: string, mode: number = READABLE): Entry {
  return { kind: 'file', mode, content: Buffer.from(text) }
}
export function linkTo(target: string): Entry {
  return { kind: 'link', target }
}

export function bytesOf(content: FileContent): Uint8Array {
  return content instanceof Uint8Array ? content : readFileSync(content.file)
}

/** The same with the folders that hold everything, in the order of their paths. Throws for a file within a file. */
export function wholeTree(tree: Tree): readonly (readonly [string, Entry])[] {
  const all = new Map<string, Entry>()
  for (const path of tree.keys())
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
      if ((tree.get(folder)?.kind ?? 'directory') !== 'directory') throw new Error(`${folder} is no folder of ${path}`)
      all.set(folder, { kind: 'directory', mode: EXECUTABLE })
    }
  for (const [path, entry] of tree) all.set(path, entry)
  return [...all].toSorted(([a], [b]) => (a < b ? -1 : 1))
}
