/** Trees as plain files, for those who make an image of them by other means. */
import { chmodSync, lutimesSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOf, type Tree, wholeTree } from './tree.ts'

/** Several may share a folder. Everything bears the time, in seconds since 1970. */
export function writeTree(folder: string, tree: Tree, seconds: number): void {
  const all = wholeTree(tree)
  for (const [path, entry] of all) {
    const at = join(folder, path)
    if (entry.kind === 'directory') mkdirSync(at, { recursive: true })
    else if (entry.kind === 'file') writeFileSync(at, bytesOf(entry.content))
    else {
      rmSync(at, { force: true })
      symlinkSync(entry.target, at)
    }
    // Whatever the process lets files be made with.
    if (entry.kind !== 'link') chmodSync(at, entry.mode)
  }
  // From within: what is made in a folder changes the folder's time.
  for (const [path] of all.toReversed()) lutimesSync(join(folder, path), seconds, seconds)
}
