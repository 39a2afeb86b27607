/**
 * The CNI executable for a processor of the image. For another one than this machine's, clang-19 compiles it against that
 * one's Debian packages, and an emulator runs it once: the executable's heap is part of it (cni/host/heap.c).
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mustRun } from '../lab/command.ts'
import { compileCni, type Toolchain } from '../setup/compile-cni.mjs'
import { SOURCES } from './debian.ts'
import { type Architecture, ownArchitecture } from './oci-image.ts'
import { PrivateApt } from './private-apt.ts'

export interface CniForImage {
  readonly binary: string
  /** deb-copyright of MuJS, which is in it. */
  readonly licence: string
  /** Versions of the Debian packages that it is linked with, by name. */
  readonly linked: Readonly<Record<string, string>>
}

export interface CniOptions {
  readonly root: string
  /** What is fetched and built for the processor is kept here. */
  readonly folder: string
  readonly say: (text: string) => void
}

/** How GNU tools and the emulator call a processor. */
const GNU: Readonly<Record<Architecture, string>> = { amd64: 'x86_64', arm64: 'aarch64' }
const HEADERS_AND_LIBRARIES = ['libc6', 'libc6-dev', 'libgcc-12-dev', 'libmujs-dev', 'linux-libc-dev']
/** Static parts of the executable. */
const LINKED = ['libc6-dev', 'libmujs-dev']
const LICENCE = 'usr/share/doc/libmujs-dev/copyright'

/** Rejects with MirrorAway when a package is missing and cannot be had, and with SetupError. */
export async function cniFor(architecture: Architecture, { root, folder, say }: CniOptions): Promise<CniForImage> {
  if (architecture === ownArchitecture())
    return { binary: join(root, 'build/cni/causeway'), licence: join('/', LICENCE), linked: await installedVersions() }
  const tools = join(folder, 'tools')
  if (!existsSync(tools)) {
    say(`fetching what compiles for ${architecture}`)
    await fetchTools(architecture, folder, tools)
  }
  const toolchain = toolchainIn(tools, GNU[architecture])
  const { binary, built } = await compileCni({ root, out: join(folder, 'cni'), toolchain })
  if (built) say(`compiled the CNI executable for ${architecture}`)
  const linked = JSON.parse(readFileSync(join(tools, VERSIONS), 'utf8')) as CniForImage['linked']
  return { binary, licence: join(tools, 'target', LICENCE), linked }
}

/** What was fetched, in the folder of tools. */
const VERSIONS = 'versions.json'

async function installedVersions(): Promise<CniForImage['linked']> {
  const lines = await mustRun(['dpkg-query', '--show', '--showformat', '${Package} ${Version}\n', ...LINKED])
  return Object.fromEntries(
    lines
      .trimEnd()
      .split('\n')
      .map(line => line.split(' ') as [string, string]),
  )
}

function toolchainIn(tools: string, name: string): Toolchain {
  const triplet = `${name}-linux-gnu`
  const [own, target] = [join(tools, 'own/usr'), join(tools, 'target')]
  return {
    compiler: ['clang-19', `--target=${triplet}`, `--sysroot=${target}`, `--ld-path=${own}/bin/${triplet}-ld`],
    objcopy: `${own}/bin/${triplet}-objcopy`,
    runner: [`${own}/bin/qemu-${name}-static`],
    mujs: join(target, 'usr/lib', triplet, 'libmujs.a'),
    // Of the linker, whose libraries lie beside it.
    env: { LD_LIBRARY_PATH: `${own}/lib/${GNU[ownArchitecture()]}-linux-gnu` },
  }
}

/** The folder gets its name when it is whole. */
async function fetchTools(architecture: Architecture, folder: string, tools: string): Promise<void> {
  const work = `${tools}.${process.pid}`
  const name = GNU[architecture]
  try {
    mkdirSync(work, { recursive: true })
    const target = await PrivateApt.open(join(folder, 'apt'), SOURCES, { architecture, maxAgeMs: Infinity })
    await target.unpack(HEADERS_AND_LIBRARIES, join(work, 'target'), { dependencies: false })
    const versions = await Promise.all(LINKED.map(async p => [p, await target.version(p)]))
    writeFileSync(join(work, VERSIONS), JSON.stringify(Object.fromEntries(versions)))
    const own = await PrivateApt.open(join(work, 'apt'), SOURCES)
    await own.unpack([`binutils-${name.replace('_', '-')}-linux-gnu`], join(work, 'own'), { dependencies: false })
    // One of its emulators is wanted: together they are larger than everything else.
    await own.unpack(['qemu-user-static'], join(work, 'all'), { dependencies: false })
    renameSync(join(work, `all/usr/bin/qemu-${name}-static`), join(work, `own/usr/bin/qemu-${name}-static`))
    for (const part of ['all', 'apt']) rmSync(join(work, part), { recursive: true })
    renameSync(work, tools)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}
