/** For the tests of this folder: a cgroup of their own, in the cgroup2 hierarchy wherever it is mounted. */
import { closeSync, mkdtempSync, openSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { cgroupMount } from '../../cgroup-mount.ts'

export interface OwnCgroup extends Disposable {
  readonly path: string
  readonly fd: number
  /** Command that runs the rest of its arguments in the cgroup. */
  readonly through: readonly string[]
}

/** Disposing removes it; its processes must have ended. */
export function openCgroup(): OwnCgroup {
  const mount = cgroupMount()
  if (mount === undefined) throw new Error('cgroup2 is not mounted')
  const dir = mkdtempSync(join(mount, 'causeway-test-'))
  const fd = openSync(dir, 'r')
  return {
    path: dir,
    fd,
    through: ['sh', '-c', `echo $$ > ${dir}/cgroup.procs && exec "$@"`, 'sh'],
    [Symbol.dispose]: () => {
      closeSync(fd)
      rmdirSync(dir)
    },
  }
}
