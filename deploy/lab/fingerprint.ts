/** Whether a lab that is up still runs what the tree holds. */
import { createHash } from 'node:crypto'
import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** A digest of names and times of the files that a lab runs: the daemon's bundles, programs and executables. */
export function projectFingerprint(root: string, daemon?: string): string {
  const files = globSync('build/{daemon/*.cjs,bpf/*.o,cni/causeway,probe/cw-probe}', { cwd: root })
  const paths = [...files.sort().map(f => join(root, f)), ...(daemon === undefined ? [] : [daemon])]
  const hash = createHash('sha256')
  for (const path of paths) hash.update(`${path} ${statSync(path, { throwIfNoEntry: false })?.mtimeMs}\n`)
  return hash.digest('hex')
}
