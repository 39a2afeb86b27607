/**
 * A watched directory as cluster source. Events of the file system wake the loop, a periodic scan makes up for what
 * they miss (symbolic links' targets, network file systems); a scan reads what changed since the last one.
 */
import type { Stats } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DirectoryWake, pause } from '../../directory-wake.ts'
import type { Logger } from '../../plugin.ts'
import { replaceRows } from '../../state/replace.ts'
import type { Tables } from '../../state/tables.ts'
import { type CloudTables, writeCloudSpec } from '../parse-cloud-spec.ts'
import type { ClusterSource, SourceProblem } from '../source.ts'
import { Catalog, type Contents } from './catalog.ts'

export interface DirectorySourceOptions {
  readonly directory: string
  /** Whose addresses from a cloud are of use here. */
  readonly nodeName: string
  readonly tables: Pick<
    Tables,
    'nodes' | 'pods' | 'services' | 'endpointSlices' | 'namespaces' | 'networkPolicies' | 'egressPolicies'
  > &
    CloudTables
  readonly log: Logger
  /** Longest time between two scans. */
  readonly rescanMs?: number
  /** A file younger than this may still be in the middle of being written, and is left until it is older. */
  readonly settleMs?: number
}

/** A file that looks unfinished at every look is read after so many times `settleMs`. */
const PATIENCE = 40

/** Declares itself to all its tables; nothing is read before `run`. Hidden files and subdirectories are not looked at. */
export function createDirectorySource(options: DirectorySourceOptions): ClusterSource {
  const { nodes, pods, services, endpointSlices, namespaces, networkPolicies, egressPolicies } = options.tables
  const { cloudMachines, cloudNics, cloudBlocks } = options.tables
  const plain = [nodes, pods, services, endpointSlices, namespaces, networkPolicies, egressPolicies]
  const synced = [...plain, cloudMachines, cloudNics, cloudBlocks].map(table => table.initializer('cluster/directory'))
  const scan = new Scan(options)
  let problems: readonly SourceProblem[] = []
  let waiting: string | undefined = 'its first look'
  const noticed = new Set<string>()

  const write = (contents: Contents, all: boolean): void => {
    replaceRows(nodes, contents.nodes)
    replaceRows(pods, contents.pods)
    replaceRows(services, contents.services)
    replaceRows(endpointSlices, contents.endpointSlices)
    replaceRows(namespaces, contents.namespaces)
    replaceRows(networkPolicies, contents.networkPolicies)
    replaceRows(egressPolicies, contents.egressPolicies)
    writeCloudSpec(options.tables, contents.cloud.get(options.nodeName))
    if (contents.unknown.length === 0 && all) {
      waiting = undefined
      for (const done of synced) done()
    } else if (waiting !== undefined) waiting = missing(contents.unknown)
    reportProblems(options.log, problems, contents.problems)
    problems = contents.problems
    for (const kind of contents.unused.filter(name => !noticed.has(name))) {
      noticed.add(kind)
      options.log.info({ kind }, 'objects of this kind are not used')
    }
  }
  return {
    name: 'directory',
    problems: () => problems,
    waitingFor: () => waiting,
    async run(signal) {
      using wake = new DirectoryWake(options.directory)
      while (!signal.aborted) {
        wake.watch()
        const result = await scan.run()
        if (signal.aborted) break
        write(result.contents, !result.unsettled)
        if (!result.unsettled) await wake.wait(options.rescanMs ?? 5000, signal)
        // One change brings several events; those that follow within this time share the next scan.
        await pause(scan.settleMs, signal)
      }
    },
  }
}

function missing(unknown: readonly string[]): string {
  return unknown.length === 0
    ? 'files that are being written'
    : `${unknown.join(', ')}, which could never be used so far`
}

function reportProblems(log: Logger, before: readonly SourceProblem[], now: readonly SourceProblem[]): void {
  const text = (problem: SourceProblem): string => `${problem.place} ${problem.message}`
  const known = new Set(before.map(text))
  for (const problem of now)
    if (!known.has(text(problem)))
      log.warn({ place: problem.place, problem: problem.message }, 'cluster source: unusable input')
  if (before.length > 0 && now.length === 0) log.info({}, 'cluster source: all problems are solved')
}

/** Reads a directory into a catalog, and only what changed since the last time. */
class Scan {
  readonly settleMs: number
  readonly #directory: string
  readonly #catalog = new Catalog()
  /** What `stat` said of each file when it was read last. */
  readonly #seen = new Map<string, Stats>()
  /** Since when a file has looked unfinished at every look. */
  readonly #unfinished = new Map<string, number>()

  constructor(options: DirectorySourceOptions) {
    this.#directory = options.directory
    this.settleMs = options.settleMs ?? 50
  }

  /** `unsettled`: some file was too young to be read. */
  async run(): Promise<{ readonly contents: Contents; readonly unsettled: boolean }> {
    let names: string[]
    try {
      names = (await readdir(this.#directory)).filter(name => /^[^.].*\.(ya?ml|json)$/.test(name))
    } catch (error) {
      return { contents: this.#withoutDirectory(error as Error), unsettled: false }
    }
    const files = names.map(name => join(this.#directory, name))
    for (const file of this.#catalog.files) if (!files.includes(file)) this.#forget(file)
    let unsettled = false
    for (const file of files) if (!(await this.#file(file))) unsettled = true
    return { contents: this.#catalog.contents(), unsettled }
  }

  /** False when the file has to be looked at again soon. */
  async #file(file: string): Promise<boolean> {
    try {
      const stats = await stat(file)
      const last = this.#seen.get(file)
      if (!stats.isFile() || (last && sameState(last, stats))) return true
      if (this.#tooYoung(stats) && this.#mayWait(file)) return false
      const text = await readFile(file, 'utf8')
      if (!sameState(await stat(file), stats)) return false
      // Whoever writes in pieces begins with fewer bytes than there were, and rarely stops at the end of a line.
      if (last && stats.size < last.size && !text.endsWith('\n') && this.#mayWait(file)) return false
      this.#catalog.read(file, text)
      this.#seen.set(file, stats)
      this.#unfinished.delete(file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.#forget(file)
      else this.#catalog.unusable(file, `cannot be read: ${(error as Error).message}`)
    }
    return true
  }

  /** A time in the future says nothing. */
  #tooYoung(stats: Stats): boolean {
    const age = Date.now() - stats.mtimeMs
    return age < this.settleMs && age >= -1000
  }

  /** A file that never looks finished is read in the end. */
  #mayWait(file: string): boolean {
    const now = Date.now()
    const since = this.#unfinished.get(file) ?? now
    this.#unfinished.set(file, since)
    return now - since < PATIENCE * this.settleMs
  }

  #forget(file: string): void {
    this.#catalog.delete(file)
    this.#unfinished.delete(file)
    this.#seen.delete(file)
  }

  /** A directory that cannot be read says nothing about its files: everything known stays. */
  #withoutDirectory(error: Error): Contents {
    const contents = this.#catalog.contents()
    const problem = { place: this.#directory, message: `cannot be read: ${error.message}` }
    return { ...contents, problems: [problem, ...contents.problems], unknown: [this.#directory] }
  }
}

function sameState(a: Stats, b: Stats): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs
}
