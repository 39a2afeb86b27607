/** For the tests of this folder: a bpf file system of their own. */
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { libcFunction } from '../../sys.ts'
import { ensureBpffs } from '../pin.ts'

const umount = libcFunction('int umount2(const char *target, int flags)')
const MNT_DETACH = 2

export interface Bpffs extends Disposable {
  readonly dir: string
  path(name: string): string
}

/** Mounted under a temporary folder; disposing unmounts it, and what was pinned goes with it. */
export function openBpffs(): Bpffs {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-bpffs-'))
  ensureBpffs(dir, { mount: true })
  return {
    dir,
    path: name => join(dir, name),
    [Symbol.dispose]: () => {
      umount()(dir, MNT_DETACH)
      rmdirSync(dir)
    },
  }
}
