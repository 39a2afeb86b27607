/**
 * Packages of other Debian releases and processors beside this machine's own: apt with sources, state and cache in a folder of their
 * own, over the machine's mirror, proxies and keys. No package counts as installed there.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun, runCommand } from '../lab/command.ts'

/** The mirror could not be used; the message says why. */
export class MirrorAway extends Error {
  readonly code = 'mirror-away'
}

export interface AptSource {
  /** As in sources.list(5), such as `sid` or `bookworm-security`. */
  readonly suite: string
  /** `debian` unless the suite has an archive of its own. */
  readonly archive?: 'debian' | 'debian-security'
}

export interface AptOptions {
  /** Lists that are no older will do; none unless given. */
  readonly maxAgeMs?: number
  /** Such as `http://mirror.example/`; the machine's own unless given. */
  readonly mirror?: string
  /** Debian's name of the processor, such as `arm64`; the machine's own unless given. */
  readonly architecture?: string
}

const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg'
const TIMEOUT_MS = 180_000

export class PrivateApt {
  readonly #folder: string
  readonly #options: readonly string[]

  private constructor(folder: string, options: readonly string[]) {
    this.#folder = folder
    this.#options = options
  }

  /** Fetches the lists of packages into `folder`, unless they are there and young enough. Throws MirrorAway. */
  static async open(folder: string, sources: readonly AptSource[], options: AptOptions = {}): Promise<PrivateApt> {
    const { maxAgeMs = 0, mirror = await debianMirror() } = options
    const list = sourcesList(mirror, sources)
    const apt = new PrivateApt(folder, prepare(folder, list, options.architecture))
    const stamp = join(folder, 'fetched')
    if (isFresh(stamp, list, maxAgeMs)) return apt
    await apt.#run(['apt-get', 'update', '--error-on=any'])
    writeFileSync(stamp, list)
    return apt
  }

  /** Names of packages that begin like that. */
  async names(prefix: string): Promise<string[]> {
    const text = await this.#run(['apt-cache', 'pkgnames', prefix])
    return text.split('\n').filter(name => name !== '')
  }

  /** The version that would be fetched. */
  async version(name: string): Promise<string> {
    const text = await this.#run(['apt-cache', 'show', '--no-all-versions', name])
    const version = /^Version: (\S+)$/m.exec(text)?.[1]
    if (version === undefined) throw new MirrorAway(`the mirror does not tell the version of ${name}`)
    return version
  }

  /** Fetches the packages, with all that they depend on if wanted, and unpacks them over `root`. Throws MirrorAway. */
  async unpack(packages: readonly string[], root: string, { dependencies }: { dependencies: boolean }): Promise<void> {
    const archives = join(this.#folder, 'cache/archives')
    rmSync(archives, { recursive: true, force: true })
    mkdirSync(join(archives, 'partial'), { recursive: true })
    const install = ['apt-get', 'install', '--download-only', '--no-install-recommends', '-y', ...packages]
    await (dependencies ? this.#run(install) : this.download(packages, archives))
    for (const name of readdirSync(archives).filter(file => file.endsWith('.deb')))
      await mustRun(['dpkg-deb', '--extract', join(archives, name), root])
    rmSync(archives, { recursive: true, force: true })
  }

  /**
   * Fetches the packages' archives into a folder; those that are there already are not fetched again. Resolves to the
   * files' names. Throws MirrorAway.
   */
  async download(packages: readonly string[], folder: string): Promise<string[]> {
    const command = ['apt-get', 'download', '-q', ...packages]
    // Lines are 'URI' file size digest.
    const found = [...(await this.#run([...command, '--print-uris'])).matchAll(/^'[^']+' (\S+\.deb) /gm)]
    const names = found.map(match => match[1] ?? '')
    if (!names.every(name => existsSync(join(folder, name)))) await this.#run(command, folder)
    return names
  }

  async #run([program = '', ...args]: readonly string[], cwd?: string): Promise<string> {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const running = runCommand([program, ...this.#options, ...args], { signal, ...(cwd === undefined ? {} : { cwd }) })
    const { status, stdout, stderr } = await running.catch((error: unknown) => {
      if (!signal.aborted) throw error
      throw new MirrorAway(`the mirror did not answer ${program} ${args[0]} in ${TIMEOUT_MS / 1000} s`)
    })
    if (status === 0) return stdout
    throw new MirrorAway(`${program} ${args[0]}: ${/^[EW]: .*$/m.exec(stderr)?.[0] ?? stderr.trim()}`)
  }
}

/** The one that this machine's packages come from; ends with a slash. */
async function debianMirror(): Promise<string> {
  const format = ['--format', '$(REPO_URI) $(COMPONENT)']
  const { stdout } = await runCommand(['apt-get', 'indextargets', ...format, 'Created-By: Packages'])
  const mirror = /^(\S+\/)debian\/ main$/m.exec(stdout)?.[1]
  if (mirror === undefined) throw new MirrorAway("apt's sources name no mirror of Debian")
  return mirror
}

function sourcesList(mirror: string, sources: readonly AptSource[]): string {
  const lines = sources.map(
    ({ suite, archive = 'debian' }) => `deb [signed-by=${KEYS}] ${mirror}${archive} ${suite} main\n`,
  )
  return lines.join('')
}

function isFresh(stamp: string, list: string, maxAgeMs: number): boolean {
  const made = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs
  return made !== undefined && Date.now() - made < maxAgeMs && readFileSync(stamp, 'utf8') === list
}

/** Writes what apt needs to find in the folder; returns options that leave the machine's own apt alone. */
function prepare(folder: string, list: string, architecture: string | undefined): string[] {
  for (const part of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(folder, part), { recursive: true })
  writeFileSync(join(folder, 'sources.list'), list)
  writeFileSync(join(folder, 'status'), '')
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    // A copy of the mirror may be older than its own promise.
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '20',
    'APT::Sandbox::User': 'root',
    // A list that is given takes the place of what dpkg would name besides.
    ...(architecture === undefined ? {} : { 'APT::Architecture': architecture, 'APT::Architectures': architecture }),
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}
