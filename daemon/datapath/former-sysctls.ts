/**
 * What sysctls of the node were before the daemon changed them, kept in the state directory until uninstall. Written
 * before each change, so that a daemon that is killed in between has told.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kernel } from '../kernel/kernel.ts'

type Sysctls = Pick<Kernel, 'bootId' | 'sysctl' | 'setSysctl'>

interface Former {
  /** A reboot puts every sysctl back by itself. */
  readonly bootId: string
  readonly changed: Readonly<Record<string, { readonly was: string; readonly set: string }>>
}

/** The kernel's sysctls; what is set through it is written down first, with the value of before the first time. */
export function recordedSysctls(kernel: Sysctls, stateDirectory: string): Pick<Kernel, 'sysctl' | 'setSysctl'> {
  return {
    sysctl: name => kernel.sysctl(name),
    setSysctl(name, value) {
      const { changed } = read(kernel, stateDirectory)
      const was = changed[name]?.was ?? kernel.sysctl(name)
      if (was !== undefined && changed[name]?.set !== value)
        write(stateDirectory, { bootId: kernel.bootId, changed: { ...changed, [name]: { was, set: value } } })
      kernel.setSysctl(name, value)
    },
  }
}

/** Puts back what still has the value that the daemon set, the last changed first. Throws what the kernel says. */
export function restoreSysctls(kernel: Sysctls, stateDirectory: string): void {
  for (const [name, { was, set }] of Object.entries(read(kernel, stateDirectory).changed).reverse())
    if (kernel.sysctl(name) === set) kernel.setSysctl(name, was)
}

function read({ bootId }: Sysctls, stateDirectory: string): Former {
  try {
    // Written by this file alone.
    const former = JSON.parse(readFileSync(fileIn(stateDirectory), 'utf8')) as Former
    if (former.bootId === bootId) return former
  } catch (error) {
    if (!(error instanceof SyntaxError) && (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return { bootId, changed: {} }
}

function write(stateDirectory: string, former: Former): void {
  const file = fileIn(stateDirectory)
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
  writeFileSync(`${file}.tmp`, `${JSON.stringify(former, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.tmp`, file)
}

function fileIn(stateDirectory: string): string {
  return join(stateDirectory, 'sysctls.json')
}
