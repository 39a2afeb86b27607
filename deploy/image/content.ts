/**
 * What is in the image. No shell and no package manager: Debian's shared libraries that Node, koffi and libbpf need, Node,
 * and the project as it is built, in folders as in the tree, so that its parts find each other by the same ways.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CniForImage } from './cni.ts'
import type { DebianPackage } from './debian.ts'
import { licenceFiles, type NpmPackage, type NpmPackages } from './npm-packages.ts'
import type { LayerContent } from './oci-image.ts'
import { sbom } from './sbom.ts'
import { type Entry, EXECUTABLE, fileOf, linkTo, READABLE, textOf, type Tree } from './tree.ts'

/** What Node (libstdc++, libgcc), koffi and libbpf (libelf, zlib) are linked with; gcc-12-base says the licence of two. */
export const DEBIAN_PACKAGES = [
  'gcc-12-base',
  'libbpf1',
  'libc6',
  'libelf1',
  'libgcc-s1',
  'libstdc++6',
  'zlib1g',
] as const

export const HOME = '/opt/causeway'
export const ENTRYPOINT = [`${HOME}/bin/causeway`] as const
export const PATH = `${HOME}/bin`
/** The daemon is root with few capabilities; the operator's Deployment names OPERATOR_USER. */
export const USER = '0:0'
export const OPERATOR_USER = 65_532

/** Without the version, which is package.json's. */
export const LABELS = {
  'org.opencontainers.image.title': 'causeway',
  'org.opencontainers.image.description':
    'Causeway, a Kubernetes network: daemon, operator, CNI executable, eBPF programs',
  'org.opencontainers.image.licenses': 'Apache-2.0 AND (GPL-2.0-only OR BSD-2-Clause)',
  'org.opencontainers.image.vendor': 'Causeway',
} as const

/** Files that no package brings. */
export const BASE_FILES: Readonly<Record<string, string>> = {
  'etc/passwd': [
    'root:x:0:0:root:/:/nonexistent',
    'nobody:x:65534:65534:nobody:/nonexistent:/nonexistent',
    `causeway:x:${OPERATOR_USER}:${OPERATOR_USER}:operator:/nonexistent:/nonexistent`,
    '',
  ].join('\n'),
  'etc/group': ['root:x:0:', 'nogroup:x:65534:', `causeway:x:${OPERATOR_USER}:`, ''].join('\n'),
  'etc/nsswitch.conf': ['passwd: files', 'group: files', 'hosts: files dns', ''].join('\n'),
  'etc/os-release': [
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"',
    'NAME="Debian GNU/Linux"',
    'VERSION_ID="12"',
    'VERSION="12 (bookworm)"',
    'VERSION_CODENAME=bookworm',
    'ID=debian',
    '',
  ].join('\n'),
}

/** Node takes the place of the interpreter, which the kernel starts by this line: no shell comes in between. */
const COMMAND = `#!${HOME}/bin/node\nrequire('../build/daemon/causeway.cjs')\n`

/** The daemon's and the operator's, and those that are loaded when they are needed: for a login, and each cloud's SDK. */
export const BUNDLES = ['causeway.cjs', 'client-node.cjs', 'sdk-aws-eni.cjs', 'sdk-azure.cjs', 'sdk-gcp.cjs'] as const

export interface ImageParts {
  /** The project's folder. */
  readonly root: string
  readonly version: string
  readonly debian: readonly DebianPackage[]
  readonly npm: NpmPackages
  /** The executable for the image's processor. */
  readonly cni: CniForImage
}

/** By how seldom they change: an upgrade of the project fetches the last one alone. */
export function layers(parts: ImageParts): LayerContent[] {
  const { debian, npm, version } = parts
  return [
    { about: `Debian ${debian.map(p => `${p.name} ${p.version}`).join(', ')}`, tree: debianTree(debian) },
    { about: `Node ${npm.node.version}, koffi ${npm.koffi.version}`, tree: nodeTree(npm) },
    { about: `Causeway ${version}`, tree: projectTree(parts) },
  ]
}

const LIBRARY = /^(usr\/)?lib(64)?\/([a-z0-9_]+-linux-gnu\/)?[^/]+\.so(\.[0-9.]+)?$/
/** Of the C library, what only other programs ask for. */
const UNUSED =
  /\/lib(BrokenLocale|anl|c_malloc_debug|memusage|mvec|nsl|nss_compat|nss_hesiod|pcprofile|thread_db|util)\./
const LICENCE = /^usr\/share\/doc\/[^/]+(\/copyright)?$/

/** Scanners look for packages in os-release(5) and in dpkg's status, in one file a package. */
function debianTree(packages: readonly DebianPackage[]): Tree {
  const tree = new Map<string, Entry>([
    ['tmp', { kind: 'directory', mode: 0o1777 }],
    // Runtimes name pods' network namespaces by either path.
    ['var/run', linkTo('/run')],
    ['run', { kind: 'directory', mode: EXECUTABLE }],
  ])
  for (const [path, text] of Object.entries(BASE_FILES)) tree.set(path, textOf(text))
  for (const { name, control, files } of packages) {
    for (const [path, entry] of files)
      if ((LIBRARY.test(path) && !UNUSED.test(path)) || LICENCE.test(path)) tree.set(path, entry)
    tree.set(`var/lib/dpkg/status.d/${name}`, textOf(`${control.trimEnd()}\n`))
  }
  return tree
}

function nodeTree({ node, koffi, native }: NpmPackages): Tree {
  const home = HOME.slice(1)
  const tree = new Map<string, Entry>([[`${home}/bin/node`, fileOf(join(node.folder, 'bin/node'), EXECUTABLE)]])
  const take = (from: NpmPackage, wanted: RegExp): void => {
    for (const path of readdirSync(from.folder, { recursive: true, encoding: 'utf8' }))
      if (wanted.test(path)) tree.set(`${home}/node_modules/${from.name}/${path}`, fileOf(join(from.folder, path)))
  }
  // What the bundle requires of it; the sources of its native part stay behind.
  take(koffi, /^(package\.json|index\.cjs|src\/koffi\/.*\.cjs)$/)
  take(native, /^(package\.json|index\.js|linux_[a-z0-9]+\/koffi\.node)$/)
  for (const from of [node, koffi]) addLicences(tree, from)
  return tree
}

function projectTree(parts: ImageParts): Tree {
  const { root, version, cni, npm } = parts
  const home = HOME.slice(1)
  const doc = 'usr/share/doc/causeway'
  const tree = new Map<string, Entry>([
    [`${home}/bin/causeway`, textOf(COMMAND, EXECUTABLE)],
    ...BUNDLES.map(name => [`${home}/build/daemon/${name}`, fileOf(join(root, 'build/daemon', name))] as const),
    [`${home}/build/cni/causeway`, fileOf(cni.binary, EXECUTABLE)],
    // What people look for stands at the top.
    ...['bpf', 'cni'].map(name => [`${home}/${name}`, linkTo(`build/${name}`)] as const),
    [`${home}/package.json`, textOf(`${JSON.stringify({ name: 'causeway', version, license: 'Apache-2.0' })}\n`)],
    [`${home}/sbom.spdx.json`, textOf(`${JSON.stringify(sbom(parts), undefined, 2)}\n`)],
    [`${doc}/copyright`, fileOf(join(root, 'LICENSE'))],
    ['usr/share/doc/libmujs-dev/copyright', { kind: 'file', mode: READABLE, content: readFileSync(cni.licence) }],
  ])
  for (const name of readdirSync(join(root, 'build/bpf')).filter(file => file.endsWith('.o')))
    tree.set(`${home}/build/bpf/${name}`, fileOf(join(root, 'build/bpf', name)))
  for (const name of readdirSync(join(root, 'bpf')).filter(file => file.startsWith('LICENSE')))
    tree.set(`${doc}/bpf-${name}`, fileOf(join(root, 'bpf', name)))
  for (const from of npm.bundled) addLicences(tree, from)
  return tree
}

function addLicences(tree: Map<string, Entry>, from: NpmPackage): void {
  for (const name of licenceFiles(from))
    tree.set(`usr/share/doc/npm/${from.name}/${name}`, fileOf(join(from.folder, name)))
}
