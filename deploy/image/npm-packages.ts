/** npm packages by the lock file: what the image has of them, and those of the processor that it is for. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun } from '../lab/command.ts'
import type { Architecture } from './oci-image.ts'

export interface NpmPackage {
  readonly name: string
  readonly version: string
  /** SPDX expression. */
  readonly licence: string
  /** Folder on this machine. */
  readonly folder: string
}

interface LockedPackage {
  readonly version: string
  readonly integrity: string
  readonly license?: string
  readonly dev?: boolean
  readonly optional?: boolean
}

const CPU: Readonly<Record<Architecture, string>> = { amd64: 'x64', arm64: 'arm64' }

export interface NpmPackages {
  readonly node: NpmPackage
  readonly koffi: NpmPackage
  /** koffi's native part. */
  readonly native: NpmPackage
  /** What is, or may be, in the daemon's bundle. */
  readonly bundled: readonly NpmPackage[]
}

/** Fetches what node_modules has for other processors only into a folder. Throws when it is not what the lock file says. */
export async function npmPackages(
  root: string,
  architecture: Architecture,
  folder: string,
  say: (text: string) => void,
): Promise<NpmPackages> {
  const locked = readLock(root)
  const native = async (name: string): Promise<NpmPackage> => {
    const own = join(root, 'node_modules', name)
    const { version, integrity, license = '' } = required(locked, name)
    if (existsSync(own)) return { name, version, licence: license, folder: own }
    const fetched = join(folder, name.replace('/', '+'), version)
    if (!existsSync(fetched)) {
      say(`fetching ${name} ${version}`)
      await fetchPackage(`${name}@${version}`, integrity, fetched)
    }
    return { name, version, licence: license, folder: fetched }
  }
  const inBundle = [...locked].filter(([, p]) => p.dev !== true && p.optional !== true)
  const bundled = inBundle.map(([name, { version, license: licence = '' }]) => {
    return { name, version, licence, folder: join(root, 'node_modules', name) }
  })
  return {
    node: await native(`node-linux-${CPU[architecture]}`),
    native: await native(`@koromix/koffi-linux-${CPU[architecture]}`),
    koffi: bundled.find(p => p.name === 'koffi') ?? required(new Map(), 'koffi'),
    bundled: bundled.filter(p => p.name !== 'koffi'),
  }
}

/** Names of the files in which a package says its licence. */
export function licenceFiles({ folder }: NpmPackage): string[] {
  return readdirSync(folder).filter(name => /^(licen[cs]e|notice|copying)/i.test(name))
}

/** By name. */
function readLock(root: string): ReadonlyMap<string, LockedPackage> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>
  }
  const below = 'node_modules/'
  const found = Object.entries(packages).filter(([path]) => path.startsWith(below))
  return new Map(found.map(([path, locked]) => [path.slice(below.length), locked]))
}

function required<T>(from: ReadonlyMap<string, T>, name: string): T {
  const found = from.get(name)
  if (found === undefined) throw new Error(`package-lock.json has no ${name}`)
  return found
}

/** The archive's digest is checked against the lock file's (Subresource Integrity). */
async function fetchPackage(name: string, integrity: string, target: string): Promise<void> {
  const work = `${target}.${process.pid}`
  mkdirSync(work, { recursive: true })
  try {
    await mustRun(['npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', work, name])
    const archive = join(work, readdirSync(work).find(file => file.endsWith('.tgz')) ?? '')
    const digest = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
    if (digest !== integrity) throw new Error(`${name} is not what package-lock.json says: its digest is ${digest}`)
    await mustRun(['tar', '-xzf', archive, '-C', work])
    renameSync(join(work, 'package'), target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
