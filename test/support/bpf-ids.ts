/** Whether programs and maps are still known to the kernel, by `program ID` or `map ID`. */
import { closeSync } from 'node:fs'
import { fdById } from '../../daemon/kernel/bpf/syscall.ts'

export function isGone(object: string): boolean {
  const [kind, id] = object.split(' ')
  const fd = fdById(kind === 'map' ? 'MAP_GET_FD_BY_ID' : 'PROG_GET_FD_BY_ID', Number(id))
  if (fd === undefined) return true
  closeSync(fd)
  return false
}
