/** Kernel settings under /proc/sys, or where else that is mounted: containers see it read-only. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SystemError } from './errors.ts'
import { inNetns } from './netns/in-netns.ts'
import { withSystemError } from './netns/netns-file.ts'
import { sysctlPath } from './sysctl-name.ts'

const SYSCTLS = '/proc/sys'

/**
 * Value of a setting without its newline, of the namespace at a path or else of the thread's own; undefined when this
 * kernel or namespace has no such setting. Throws RangeError for a bad name, SystemError, NotANetns.
 */
export function readSysctl(name: string, netnsPath?: string, directory = SYSCTLS): string | undefined {
  const file = join(directory, sysctlPath(name))
  try {
    return there(netnsPath, () => withSystemError(`read sysctl ${name}`, () => readFileSync(file, 'utf8').trimEnd()))
  } catch (error) {
    // ENOENT of the namespace's own path is a failure: it has another attempt.
    if (error instanceof SystemError && error.code === 'ENOENT' && error.attempt === `read sysctl ${name}`)
      return undefined
    throw error
  }
}

/** Sets a setting; the same value again is fine. Throws as `readSysctl`, and SystemError ENOENT when there is no such one. */
export function writeSysctl(name: string, value: string, netnsPath?: string, directory = SYSCTLS): void {
  const file = join(directory, sysctlPath(name))
  there(netnsPath, () => {
    // Without O_CREAT and O_TRUNC, which procfs refuses or ignores.
    withSystemError(`set sysctl ${name} to '${value}'`, () => writeFileSync(file, value, { flag: 'r+' }))
  })
}

/** Its folder net shows the settings of the namespace the reader stands in. */
function there<T extends string | void>(netnsPath: string | undefined, call: () => T): T {
  return netnsPath === undefined ? call() : (inNetns<string | void>(netnsPath, call) as T)
}
