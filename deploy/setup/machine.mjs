/** Whether this machine can run the project at all: system, rights, distribution, kernel; and room on its disks. */
import { readFileSync, statfsSync } from 'node:fs'
import { release } from 'node:os'
import { SetupError } from './setup-error.mjs'

/** The oldest kernel the eBPF programs are written for, and the room that dependencies and compilers take. */
const KERNEL_FLOOR = [6, 1]
const DISK_FLOOR_BYTES = 1 << 30

/** The facts the checks look at; a test passes others. */
export function machineFacts() {
  return {
    platform: process.platform,
    arch: process.arch,
    uid: process.getuid?.() ?? -1,
    release: release(),
    osRelease: readOsRelease(),
  }
}

/** Such as '12'; empty when os-release(5) tells none. */
export function debianVersion() {
  return valueOf('VERSION_ID', readOsRelease())
}

function readOsRelease() {
  try {
    return readFileSync('/etc/os-release', 'utf8')
  } catch {
    return ''
  }
}

/** Throws SetupError naming the first thing that is missing. Where the project is only built, any kernel will do. */
export function checkMachine(facts = machineFacts(), { anyKernel = false } = {}) {
  const problem = findProblem(facts, anyKernel)
  if (problem) throw new SetupError(...problem)
}

/** Throws SetupError when there is no room where something is about to be installed. `free` tells bytes of a path. */
export function checkDisk(path, free = freeBytes) {
  const bytes = free(path)
  if (bytes < DISK_FLOOR_BYTES)
    throw new SetupError(`only ${Math.floor(bytes / (1 << 20))} MiB free at ${path}`, 'make room: 1 GiB is needed')
}

function freeBytes(path) {
  const disk = statfsSync(path)
  return disk.bavail * disk.bsize
}

function findProblem(facts, anyKernel) {
  if (facts.platform !== 'linux') return [`this is ${facts.platform}`, 'use a Linux machine or a virtual one']
  if (!['x64', 'arm64'].includes(facts.arch)) return [`processor ${facts.arch}`, 'use x86-64 or arm64']
  if (facts.uid !== 0) return ['not root', 'run it with sudo or as root: it loads eBPF programs and makes namespaces']
  const distribution = describe(facts.osRelease)
  if (!distribution.supported) return [`this is ${distribution.name}`, 'use Debian 12 or 13']
  if (anyKernel) return undefined
  const [major = 0, minor = 0] = facts.release.split('.').map(Number)
  const [needMajor, needMinor] = KERNEL_FLOOR
  if (major < needMajor || (major === needMajor && minor < needMinor))
    return [`kernel ${facts.release} is too old`, `use Linux ${KERNEL_FLOOR.join('.')} or newer`]
  return undefined
}

/** ID, VERSION_ID and PRETTY_NAME of os-release(5). */
function describe(text) {
  return {
    name: valueOf('PRETTY_NAME', text) || 'an unknown distribution',
    supported: valueOf('ID', text) === 'debian' && ['12', '13'].includes(valueOf('VERSION_ID', text)),
  }
}

function valueOf(key, text) {
  return new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(text)?.[1] ?? ''
}
