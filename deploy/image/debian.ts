/** Debian packages as an image has them: their shared libraries and what is said of their licences. */
import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun } from '../lab/command.ts'
import type { Architecture } from './oci-image.ts'
import { MirrorAway, PrivateApt } from './private-apt.ts'
import { type Entry, linkTo } from './tree.ts'

/** The release whose packages the image is made of. */
export const SUITE = 'bookworm'
/** Where they come from. */
export const SOURCES = [
  { suite: SUITE },
  { suite: `${SUITE}-updates` },
  { suite: `${SUITE}-security`, archive: 'debian-security' },
] as const
/** How old the lists of packages may be. */
const LISTS_MS = 86_400_000

export interface DebianPackage {
  readonly name: string
  readonly version: string
  /** Of the archive, as Debian's lists have it. */
  readonly sha256: string
  /** deb-control(5). */
  readonly control: string
  /** All its files, by path. */
  readonly files: ReadonlyMap<string, Entry>
}

export interface DebianOptions {
  readonly architecture: Architecture
  /** Archives are kept here. */
  readonly folder: string
  readonly say: (text: string) => void
}

/** The newest of the release. Without its mirror those that were fetched before, if all are there, else throws MirrorAway. */
export async function debianPackages(names: readonly string[], options: DebianOptions): Promise<DebianPackage[]> {
  const archives = await fetchArchives(names, options)
  const unpacked = mkdtempSync(join(options.folder, 'unpacked-'))
  try {
    return await Promise.all(archives.toSorted().map(archive => readPackage(archive, unpacked)))
  } finally {
    rmSync(unpacked, { recursive: true, force: true })
  }
}

async function fetchArchives(names: readonly string[], options: DebianOptions): Promise<string[]> {
  const { architecture, folder, say } = options
  const archives = join(folder, 'archives')
  mkdirSync(archives, { recursive: true })
  try {
    say(`looking for Debian packages of ${architecture}`)
    const apt = await PrivateApt.open(join(folder, 'apt'), SOURCES, { architecture, maxAgeMs: LISTS_MS })
    const found = await apt.download(names, archives)
    for (const other of readdirSync(archives).filter(name => !found.includes(name))) rmSync(join(archives, other))
    return found.map(name => join(archives, name))
  } catch (error) {
    if (!(error instanceof MirrorAway)) throw error
    const kept = readdirSync(archives).filter(name => name.endsWith('.deb'))
    if (!names.every(name => kept.some(file => file.startsWith(`${name}_`)))) throw error
    say(`${error.message}; taking the packages that were fetched before`)
    return kept.map(name => join(archives, name))
  }
}

async function readPackage(archive: string, unpacked: string): Promise<DebianPackage> {
  const control = await mustRun(['dpkg-deb', '--field', archive])
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(control)?.[1] ?? ''
  const name = field('Package')
  const folder = join(unpacked, name)
  mkdirSync(folder, { recursive: true })
  await mustRun(['dpkg-deb', '--extract', archive, folder])
  const sha256 = createHash('sha256').update(readFileSync(archive)).digest('hex')
  return { name, version: field('Version'), sha256, control, files: filesBelow(folder) }
}

function filesBelow(folder: string): Map<string, Entry> {
  const files = new Map<string, Entry>()
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = join(folder, path)
    const is = lstatSync(file)
    if (is.isSymbolicLink()) files.set(path, linkTo(readlinkSync(file)))
    else if (is.isFile()) files.set(path, { kind: 'file', mode: is.mode & 0o777, content: readFileSync(file) })
  }
  return files
}
