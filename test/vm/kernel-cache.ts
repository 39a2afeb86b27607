/**
 * Debian's kernels as guests boot them, kept outside the project so that a clean clone finds them again: packages of
 * several releases by an apt of their own, which verifies them; the ELF kernel; the modules.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { checkDisk } from '../../deploy/setup/machine.mjs'
import { type FileLock, tryLockFile } from '../../daemon/kernel/file-lock.ts'
import { mustRun } from '../../deploy/lab/command.ts'
import { type AptSource, MirrorAway, PrivateApt } from '../../deploy/image/private-apt.ts'
import { compareReleases, newestMatch, offeredReleases, packagesOf, seriesOf } from './kernels.ts'
import { vmlinuxOf } from './vmlinux.ts'

export interface Kernel {
  /** What it was asked for by. */
  readonly expression: string
  /** As `uname -r` tells it. */
  readonly release: string
  /** Of the package, such as 6.12.118-1. */
  readonly version: string
  readonly vmlinux: string
  /** Folder with `lib/modules`. */
  readonly root: string
}
/** Why there is no such kernel here. */
export interface NoKernel {
  readonly expression: string
  readonly reason: string
  /** The mirror could not be asked. */
  readonly mirrorAway: boolean
}

export interface CacheOptions {
  /** Progress for people. */
  readonly say?: (text: string) => void
  readonly folder?: string
  /** As in AptOptions. */
  readonly mirror?: string
}

const CACHE = '/var/cache/causeway-vm'
const SUITES: readonly AptSource[] = [
  { suite: 'bookworm' },
  { suite: 'bookworm-security', archive: 'debian-security' },
  { suite: 'trixie' },
  { suite: 'trixie-security', archive: 'debian-security' },
  { suite: 'trixie-backports' },
  { suite: 'sid' },
]
/** For kernels below the floor. */
const OLD_SUITES: readonly AptSource[] = [{ suite: 'bullseye' }]
const DAY_MS = 86_400_000
const LISTS_MAX_AGE_MS = DAY_MS / 4
const UNUSED_MAX_AGE_MS = 30 * DAY_MS

export class KernelCache implements Disposable {
  readonly #folder: string
  readonly #lock: FileLock
  readonly #say: (text: string) => void
  readonly #mirror: { readonly mirror?: string }

  private constructor(lock: FileLock, { folder = CACHE, say = () => {}, mirror }: CacheOptions) {
    this.#folder = folder
    this.#lock = lock
    this.#say = say
    this.#mirror = mirror === undefined ? {} : { mirror }
  }

  /** One user at a time: kernels are pruned under nobody. Throws an Error when another has it. */
  static open(options: CacheOptions): KernelCache {
    const { folder = CACHE } = options
    mkdirSync(join(folder, 'kernels'), { recursive: true })
    const lock = tryLockFile(join(folder, 'lock'))
    if (lock === undefined) throw new Error(`another run uses the kernels in ${folder}: wait for its end`)
    return new KernelCache(lock, options)
  }

  /**
   * The kernels that the expressions mean, in their order; what was fetched once serves while the mirror is away. Throws
   * SetupError when the disk has no room for another.
   */
  async find(expressions: readonly string[]): Promise<(Kernel | NoKernel)[]> {
    checkDisk(this.#folder)
    const found: (Kernel | NoKernel)[] = []
    try {
      const apt = await this.#apt(expressions)
      const packages = await apt.names('linux-')
      for (const expression of expressions) found.push(await this.#fetch(expression, apt, packages))
    } catch (error) {
      if (!(error instanceof MirrorAway)) throw error
      this.#say(`the mirror is away: ${error.message}`)
      for (const expression of expressions.slice(found.length)) found.push(this.#fetched(expression, error.message))
    }
    return found
  }

  async #apt(expressions: readonly string[]): Promise<PrivateApt> {
    const old = expressions.some(expression => expression.startsWith('5.'))
    this.#say('asking the mirror for kernels')
    const suites = [...SUITES, ...(old ? OLD_SUITES : [])]
    return await PrivateApt.open(join(this.#folder, 'apt'), suites, { maxAgeMs: LISTS_MAX_AGE_MS, ...this.#mirror })
  }

  async #fetch(expression: string, apt: PrivateApt, packages: readonly string[]): Promise<Kernel | NoKernel> {
    const releases = offeredReleases(packages)
    const release = newestMatch(expression, releases)
    if (release === undefined) {
      const series = [...new Set(releases.map(seriesOf))].join(', ')
      return { expression, reason: `the mirror offers no kernel ${expression}; it has ${series}`, mirrorAway: false }
    }
    const folder = join(this.#folder, 'kernels', release)
    if (!existsSync(folder)) await this.#build(folder, release, apt, packagesOf(release, packages))
    return this.#kernel(expression, release)
  }

  /** The folder gets its name when it is whole. */
  async #build(folder: string, release: string, apt: PrivateApt, packages: readonly string[]): Promise<void> {
    const work = join(this.#folder, 'work')
    rmSync(work, { recursive: true, force: true }) // left by a run that was killed
    mkdirSync(work)
    const version = await apt.version(packages[0] ?? '')
    this.#say(`fetching ${packages.join(' and ')} ${version}`)
    await apt.unpack(packages, work, { dependencies: false })
    mkdirSync(join(work, 'lib'), { recursive: true })
    // Packages of merged-/usr releases have their modules below usr/lib.
    if (existsSync(join(work, 'usr/lib/modules'))) renameSync(join(work, 'usr/lib/modules'), join(work, 'lib/modules'))
    const images = [join(work, 'boot', `vmlinuz-${release}`), join(work, 'lib/modules', release, 'vmlinuz')]
    const image = images.find(path => existsSync(path))
    if (image === undefined) throw new Error(`${packages.join(' and ')} hold no kernel image`)
    await mustRun(['depmod', '-b', work, release])
    writeFileSync(join(work, 'vmlinux'), vmlinuxOf(readFileSync(image)))
    writeFileSync(join(work, 'version'), version)
    for (const rest of ['boot', 'usr/share']) rmSync(join(work, rest), { recursive: true, force: true })
    renameSync(work, folder)
  }

  #kernel(expression: string, release: string): Kernel {
    const root = join(this.#folder, 'kernels', release)
    const now = new Date()
    utimesSync(root, now, now)
    const version = readFileSync(join(root, 'version'), 'utf8')
    return { expression, release, version, vmlinux: join(root, 'vmlinux'), root }
  }

  #fetched(expression: string, why: string): Kernel | NoKernel {
    const here = readdirSync(join(this.#folder, 'kernels')).sort((a, b) => compareReleases(b, a))
    const release = newestMatch(expression, here)
    if (release === undefined) return { expression, reason: `the mirror is away: ${why}`, mirrorAway: true }
    return this.#kernel(expression, release)
  }

  /** Removes what newer kernels of the same series have replaced, and what was not used for long. */
  prune(): void {
    const folder = join(this.#folder, 'kernels')
    const releases = readdirSync(folder).sort((a, b) => compareReleases(b, a))
    const newest = new Map(releases.toReversed().map(release => [seriesOf(release), release]))
    for (const release of releases) {
      const unused = Date.now() - statSync(join(folder, release)).mtimeMs > UNUSED_MAX_AGE_MS
      if (unused || newest.get(seriesOf(release)) !== release)
        rmSync(join(folder, release), { recursive: true, force: true })
    }
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]()
  }
}
