/** Where pins lie: finds the bpf file system a directory belongs to, or mounts one, which goes with the pins. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ensureBpffs, isBpffs, listPins, unmountBpffs, unpin } from '../kernel/bpf/pin.ts'

/** The customary place, where every other tool looks too. */
const CUSTOMARY = '/sys/fs/bpf'
/** Directory in a file system that was mounted here. It goes with the mount, so that no later one is taken for ours. */
const MARK = 'mounted_by_causeway'

export interface PinDirectories {
  readonly maps: string
  /** Of programs on devices. */
  readonly links: string
  /** Of programs on a cgroup. */
  readonly sockets: string
  /** Of the program in front of the stack. */
  readonly xdp: string
}

/** Makes the directories for pins below `directory`, mounting a bpf file system when there is none. Throws SystemError. */
export function preparePins(directory: string): PinDirectories {
  if (!isBpffs(nearestExisting(directory))) {
    const place = placeOf(directory)
    ensureBpffs(place, { mount: true })
    mkdirSync(join(place, MARK), { mode: 0o700 })
  }
  const directories = pinDirectories(directory)
  for (const path of Object.values(directories)) mkdirSync(path, { recursive: true, mode: 0o700 })
  return directories
}

/**
 * Removes the directory with all pins below it. A file system that `preparePins` mounted goes too, unless others have
 * pins there by now; one that somebody else mounted at the very directory stays. Absent is fine. Throws SystemError.
 */
export function removePins(directory: string): void {
  for (const part of Object.values(pinDirectories(directory))) {
    for (const { path } of listPins(part)) unpin(path)
    rmSync(part, { recursive: true, force: true })
  }
  const place = placeOf(directory)
  const mark = join(place, MARK)
  if (existsSync(mark)) {
    rmdirSync(mark)
    if (!holdsPins(place, directory)) unmountBpffs(place)
  }
  if (existsSync(directory) && !isMountPoint(directory)) rmdirSync(directory)
}

/** Whether there is more than the directory and what the kernel itself puts there, whose names alone have dots. */
function holdsPins(place: string, besides: string): boolean {
  return readdirSync(place).some(name => !name.includes('.') && join(place, name) !== besides)
}

function isMountPoint(path: string): boolean {
  return statSync(path).dev !== statSync(dirname(path)).dev
}

function pinDirectories(directory: string): PinDirectories {
  const below = (name: string): string => join(directory, name)
  return { maps: below('maps'), links: below('links'), sockets: below('sockets'), xdp: below('xdp') }
}

/** Where a file system is mounted when there is none. */
function placeOf(directory: string): string {
  return directory.startsWith(`${CUSTOMARY}/`) ? CUSTOMARY : directory
}

function nearestExisting(path: string): string {
  return existsSync(path) || path === '/' ? path : nearestExisting(dirname(path))
}
