/**
 * containerd 2 of Debian sid beside this machine's own: its packages, with the C library that they need, unpacked into a
 * folder of their own, by apt with state and cache of its own. What was fetched once is used from then on.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FileLock, tryLockFile } from '../../../daemon/kernel/file-lock.ts'
import { mustRun, runCommand } from '../../../deploy/lab/command.ts'
import { eventually } from '../eventually.ts'
import type { ContainerdRelease } from './containerd.ts'

/** Outside the project: set-up of a clean clone finds it again. */
const CACHE = '/var/cache/causeway-test/sid'
const PACKAGES = ['containerd', 'runc', 'containernetworking-plugins']
const FETCH_TIMEOUT_MS = 180_000

/** The release, or in words why it cannot be had. Rejects when what was fetched cannot be unpacked. */
export async function sidContainerd(cache: string = CACHE): Promise<ContainerdRelease | string> {
  const root = join(cache, 'root')
  mkdirSync(cache, { recursive: true })
  using _lock = await lockCache(cache)
  const problem = existsSync(root) ? undefined : await fetchInto(cache, root)
  return problem ?? { configVersion: 3, root }
}

/** Another run may be fetching. */
async function lockCache(cache: string): Promise<FileLock> {
  let lock: FileLock | undefined
  await eventually(() => (lock = tryLockFile(join(cache, 'lock'))) !== undefined, { timeoutMs: 2 * FETCH_TIMEOUT_MS })
  if (lock === undefined) throw new Error(`${cache} is locked`)
  return lock
}

/** Returns why the mirror could not be used. Only a whole system gets the name `root`. */
async function fetchInto(cache: string, root: string): Promise<string | undefined> {
  const mirror = await debianMirror()
  if (mirror === undefined) return "apt's sources name no mirror of Debian"
  const work = join(cache, 'work')
  rmSync(work, { recursive: true, force: true }) // left by a run that was killed
  try {
    const apt = ['apt-get', ...prepareApt(work, mirror)]
    const install = ['install', '--download-only', '--no-install-recommends', '-y', ...PACKAGES]
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS)
    for (const args of [['update', '--error-on=any'], install]) {
      const { status, stderr } = await runCommand([...apt, ...args], { signal })
      if (status !== 0) return `Debian sid cannot be reached: ${/^[EW]: .*$/m.exec(stderr)?.[0] ?? stderr.trim()}`
    }
    await unpack(join(work, 'cache/archives'), join(work, 'root'))
    renameSync(join(work, 'root'), root)
    return undefined
  } catch (error) {
    if (error instanceof DOMException) return `Debian sid did not answer in ${FETCH_TIMEOUT_MS / 1000} s`
    throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The one that this machine's packages come from. */
async function debianMirror(): Promise<string | undefined> {
  const format = ['--format', '$(REPO_URI) $(COMPONENT)']
  const { stdout } = await runCommand(['apt-get', 'indextargets', ...format, 'Created-By: Packages'])
  return /^(\S+\/debian\/) main$/m.exec(stdout)?.[1]
}

/** Options that leave the machine's own apt alone but for its proxies and keys: no package counts as installed. */
function prepareApt(folder: string, mirror: string): string[] {
  for (const part of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(join(folder, part), { recursive: true })
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  writeFileSync(join(folder, 'sources.list'), `deb [signed-by=${keys}] ${mirror} sid main\n`)
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
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

async function unpack(archives: string, root: string): Promise<void> {
  const packages = readdirSync(archives).filter(name => name.endsWith('.deb'))
  for (const name of packages) await mustRun(['dpkg-deb', '--extract', join(archives, name), root])
}
