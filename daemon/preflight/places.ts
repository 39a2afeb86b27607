/** Places on the node that the daemon needs: mounted as they should be, and writable. */
import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Settings } from '../config/schema.ts'
import { messageOf } from '../errors.ts'
import { isBpffs } from '../kernel/bpf/pin.ts'
import { sysctlPath } from '../kernel/sysctl-name.ts'
import { type Finding, note, ok, problem } from './finding.ts'

const CGROUP2_MAGIC = 0x63677270

export function checkBpffs({ paths }: Pick<Settings, 'paths'>, mounts = ownMounts()): Finding[] {
  const there = nearest(paths.bpf)
  if (isBpffs(there)) return [ok('bpf file system', `${paths.bpf} is on the one at ${there}`)]
  const what = `${paths.bpf} is on no bpf file system`
  if (!inContainer(mounts)) return [note('bpf file system', `${what}: the daemon mounts one`)]
  const wayOut = `mount the node's /sys/fs/bpf, with mountPropagation: HostToContainer; one of the container's own would go with it, and all traffic too`
  return [problem('bpf file system', what, wayOut)]
}

export function checkCgroup({ paths, services }: Pick<Settings, 'paths' | 'services'>): Finding[] {
  const { cgroup } = paths
  if (!services.socket) return [ok('cgroup', 'not needed: services.socket is off')]
  if (!existsSync(cgroup) || statfsSync(cgroup).type !== CGROUP2_MAGIC) {
    const wayOut = 'name a cgroup of version 2 by paths.cgroup, or switch services.socket off'
    return [problem('cgroup', `${cgroup} is no cgroup of version 2`, wayOut)]
  }
  // The root has no type (cgroup-v2.rst).
  const below = existsSync(join(cgroup, 'cgroup.type'))
  if (!below) return [ok('cgroup', `${cgroup} holds all processes of the node`)]
  return [note('cgroup', `${cgroup} is not the root: services are translated for the sockets below it alone`)]
}

/** `names` are those the daemon would set. */
export function checkSysctls({ paths }: Pick<Settings, 'paths'>, names: readonly string[]): Finding[] {
  const refused = names.flatMap(name => whyNotWritable(join(paths.sysctl, sysctlPath(name))) ?? [])
  if (refused.length === 0) {
    const what = names.length === 0 ? 'all have the values they should' : `the daemon will set ${names.join(', ')}`
    return [ok('sysctls', what)]
  }
  const wayOut = `mount the node's /proc/sys/net at DIRECTORY/net, writable, and set paths.sysctl: DIRECTORY`
  return [problem('sysctls', `cannot be set: ${refused.join('; ')}`, wayOut)]
}

export function checkDirectories({ paths, cni }: Pick<Settings, 'paths' | 'cni'>): Finding[] {
  const wanted = [paths.run, paths.state, ...(cni.writeConf ? [paths.cniConf] : [])]
  const refused = wanted.flatMap(path => whyNotWritable(nearest(path)) ?? [])
  if (refused.length === 0) return [ok('directories', `${wanted.join(', ')} can be written to`)]
  return refused.map(why => problem('directories', why, 'mount that directory of the node, writable'))
}

function whyNotWritable(path: string): string | undefined {
  try {
    accessSync(path, constants.W_OK)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** The path, or what there is of it. */
function nearest(path: string): string {
  return path === '/' || statSync(path, { throwIfNoEntry: false }) !== undefined ? path : nearest(dirname(path))
}

/** Container runtimes stack layers for the root; distributions have a file system of a disk there. */
function inContainer(mounts: string): boolean {
  return /^\S+ \/ overlay /m.test(mounts)
}

function ownMounts(): string {
  return readFileSync('/proc/self/mounts', 'utf8')
}
