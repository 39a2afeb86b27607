/**
 * DELs that came while no daemon was there, one file each, replayed by the daemon at its start in order of name.
 * ARCHITECTURE.md ("Delete queue") states the form of names and contents.
 */
import type { Configuration } from './configuration.ts'
import type { Environment } from './environment.ts'
import { codes, failure } from './failure.ts'
import type { Host } from './host.ts'

const mostEntries = 1024
const lockTimeoutMs = 5000
/** A temporary file this old belongs to a process that was killed while it wrote. */
const abandonedUs = 60e6

/**
 * Writes an entry so that a crash leaves the whole of it or nothing, and returns its path. Names are in order of
 * writing even when the clock was set back. Throws code 11 when the queue is full, code 5 when it cannot be written.
 */
export function enqueueDelete(host: Host, configuration: Configuration, environment: Environment): string {
  const directory = configuration.deleteQueue
  makePath(host, directory)
  // The lock makes the bound exact and the order that of the names; it ends with the process.
  check(directory, 'lock', host.lock(directory, lockTimeoutMs))
  const entries = readEntries(host, directory)
  if (entries.length >= mostEntries) {
    const details = `${directory} holds ${entries.length} entries; they are carried out when the daemon starts`
    throw failure(codes.tryAgainLater, 'no daemon, and the queue of deletes is full', details)
  }
  const last = Number((entries[entries.length - 1] ?? '0').substring(0, 20))
  const timeUs = Math.max(host.unixTimeUs(), last + 1)
  const stem = `${pad(timeUs)}-${host.processId()}`
  const text = JSON.stringify(entryOf(host, configuration, environment, timeUs))
  check(directory, 'write to', host.writeDurably(directory, `.${stem}.tmp`, `${stem}.json`, text))
  return `${directory}/${stem}.json`
}

function entryOf(host: Host, configuration: Configuration, environment: Environment, timeUs: number): object {
  const bootId = host.readFile('/proc/sys/kernel/random/boot_id')
  if (bootId.problem !== undefined) throw failure(codes.io, 'cannot read the boot id', bootId.problem)
  const { netns } = environment
  return {
    bootId: bootId.text.trim(),
    network: configuration.name,
    containerId: environment.containerId,
    ifName: environment.ifName,
    netns,
    netnsInode: (netns === '' ? undefined : host.inode(netns)) ?? 0,
    time: timeUs,
  }
}

/** Names of whole entries in order; clears away what killed processes left behind. */
function readEntries(host: Host, directory: string): string[] {
  const listing = host.list(directory)
  if (listing.problem !== undefined) throw queueFailure(directory, 'list', listing.problem)
  const oldest = host.unixTimeUs() - abandonedUs
  for (const name of listing.names) {
    if (/^\.\d{20}-\d+\.tmp$/.test(name) && Number(name.substring(1, 21)) < oldest)
      host.removeFile(`${directory}/${name}`)
  }
  return listing.names.filter(name => /^\d{20}-\d+\.json$/.test(name)).sort()
}

function makePath(host: Host, directory: string): void {
  if (host.inode(directory) !== undefined) return
  let path = ''
  for (const part of directory.split('/')) {
    if (part === '') continue
    path += `/${part}`
    const problem = host.makeDirectory(path)
    if (problem !== 'EEXIST') check(path, 'create', problem)
  }
}

function check(path: string, action: string, problem: string): void {
  if (problem !== '') throw queueFailure(path, action, problem)
}

function queueFailure(path: string, action: string, problem: string): Error {
  return failure(codes.io, `no daemon, and the delete cannot be queued`, `cannot ${action} ${path}: ${problem}`)
}

function pad(timeUs: number): string {
  const digits = String(timeUs)
  return '00000000000000000000'.substring(digits.length) + digits
}
