/** Where pins lie: finds the bpf file system a directory belongs to, or mounts one. */
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ensureBpffs, isBpffs } from '../kernel/bpf/pin.ts'

/** The customary place, where every other tool looks too. */
const CUSTOMARY = '/sys/fs/bpf'

export interface PinDirectories {
  readonly maps: string
  readonly links: string
}

/** Makes the directories for pins below `directory`, mounting a bpf file system when there is none. Throws SystemError. */
export function preparePins(directory: string): PinDirectories {
  if (!isBpffs(nearestExisting(directory))) {
    ensureBpffs(directory.startsWith(`${CUSTOMARY}/`) ? CUSTOMARY : directory, { mount: true })
  }
  const directories = { maps: join(directory, 'maps'), links: join(directory, 'links') }
  for (const path of Object.values(directories)) mkdirSync(path, { recursive: true, mode: 0o700 })
  return directories
}

function nearestExisting(path: string): string {
  return existsSync(path) || path === '/' ? path : nearestExisting(dirname(path))
}
