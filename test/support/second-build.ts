/**
 * A second build of the project whose pinned maps have another layout: what an upgrade brings, and, seen from there, what a
 * build meets that is taken back. It is made from a copy of the tree and kept in build/upgrade by what it was made from.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, globSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MAP_LAYOUTS } from '../../daemon/datapath/pinned-maps.ts'
import { mustRun } from '../../deploy/lab/command.ts'
import { ROOT } from '../../deploy/lab/built.ts'
import { compileBpf } from '../../deploy/setup/compile-bpf.mjs'
import { compileDaemon } from '../../deploy/setup/compile-daemon.mjs'

/** What stands in a file and what takes its place. */
type Change = readonly [file: string, from: string, to: string]

const STRUCTURES = 'bpf/lib/shared.h'
const SERVICES = 'bpf/lib/shared-service.h'
const LAYOUTS = 'daemon/datapath/pinned-maps.ts'

/** Maps whose layout the second build changes; each is one version further there. */
export const CHANGED_MAPS = [
  'endpoints',
  'devices',
  'conntrack',
  'translations',
  'service_slots',
  'backends',
  'direct_backends',
] as const

/** What the second build says it is. */
export const SECOND_VERSION = '999.0.0'

/** Fields that are new, in front of the others, and some in another order: no field of these lies where it was. */
const CHANGES: readonly Change[] = [
  ['package.json', `"version": "${version()}"`, `"version": "${SECOND_VERSION}"`],
  [STRUCTURES, 'struct ct_value {\n', 'struct ct_value {\n\t__u32 zone;\n\t__u32 seen;\n'],
  [STRUCTURES, 'struct nat_value {\n', 'struct nat_value {\n\t__u32 zone;\n\t__u32 seen;\n'],
  [
    STRUCTURES,
    'struct endpoint_value {\n',
    'struct endpoint_value {\n\t__u8 mac[6];\n\t__u8 host_mac[6];\n\t__u32 zone;\n',
  ],
  [STRUCTURES, "\t__u8 mac[6];   /* of the pod's own interface */\n\t__u8 host_mac[6];\n};", '};'],
  [SERVICES, 'struct backend {\n', 'struct backend {\n\t__u32 weight;\n'],
  ...CHANGED_MAPS.map((map): Change => {
    const layout = (version: number): string => `  ${map}: { version: ${version} },`
    return [LAYOUTS, layout(versionOf(map)), layout(versionOf(map) + 1)]
  }),
]

/** Of a map's layout in the first build. */
export function versionOf(map: (typeof CHANGED_MAPS)[number]): number {
  return MAP_LAYOUTS[map]?.version ?? 0
}

const KEPT = join(ROOT, 'build/upgrade')
const SOURCES = ['bpf', 'daemon', 'plugins', 'deploy/setup', 'package.json', 'package-lock.json']

/** The daemon's bundle of the second build, which finds its programs beside it; made unless it is there. */
export async function secondBuild(): Promise<string> {
  const folder = join(KEPT, digest())
  const bundle = join(folder, 'build/daemon/causeway.cjs')
  if (existsSync(bundle)) return bundle
  // Only the last one made is of use, and nothing of one that was not finished.
  rmSync(KEPT, { recursive: true, force: true })
  const copy = join(KEPT, 'copy')
  try {
    await build(copy)
    const whole = `${folder}.new`
    for (const part of ['build/bpf', 'build/daemon', 'package.json'])
      cpSync(join(copy, part), join(whole, part), { recursive: true })
    renameSync(whole, folder)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
  return bundle
}

async function build(copy: string): Promise<void> {
  for (const source of SOURCES) cpSync(join(ROOT, source), join(copy, source), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  for (const change of CHANGES) apply(copy, change)
  await mustRun([process.execPath, join(copy, 'bpf/gen/main.ts')])
  await compileBpf({ root: copy })
  await compileDaemon({ root: copy })
}

/** Throws when the tree has moved on from what the change expects. */
function apply(copy: string, [file, from, to]: Change): void {
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  if (text.split(from).length !== 2) throw new Error(`${file} does not have this once: ${from}`)
  writeFileSync(path, text.replace(from, to))
}

function digest(): string {
  const hash = createHash('sha256').update(JSON.stringify(CHANGES))
  const pattern = SOURCES.flatMap(source => [source, `${source}/**/*.{ts,mjs,c,h}`])
  for (const file of globSync(pattern, { cwd: ROOT, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort())
    hash.update(`${file}\0`).update(readFileSync(file))
  return hash.digest('hex').slice(0, 16)
}

function version(): string {
  const { version: own } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }
  return own
}
