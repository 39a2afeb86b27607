/**
 * `npm run gen`: writes the TypeScript counterparts of what the programs share with the control plane.
 *
 *   bpf/lib/shared.h, shared-egress.h, shared-service.h → daemon/datapath/shared.gen.ts
 *   bpf/lib/config.h                   → daemon/datapath/config.gen.ts
 *
 * Layouts and types come from an object compiled for this alone, which mentions everything the headers declare, for
 * a compiler leaves out what nothing mentions. Comments come from the headers. The results are committed; `--check`
 * writes nothing and exits 1 naming a file that differs from what would be generated.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Btf, parseBtf } from '../../daemon/kernel/bpf/btf.ts'
import { compileIfStale } from '../../deploy/setup/compile-bpf.mjs'
import { declaredTypes, readComments } from './comments.ts'
import { constantsSource } from './constants.ts'
import { Elf } from './elf.ts'
import { enumSource, structSource } from './typescript.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

async function main(args: readonly string[]): Promise<number> {
  const elf = new Elf(readFileSync(await compileLayouts()))
  const btf = parseBtf(elf.section('.BTF') ?? new Uint8Array())
  const files = [sharedFile(btf), configFile(btf, elf)]
  return args.includes('--check') ? check(files) : write(files)
}

const SHARED = ['bpf/lib/shared.h', 'bpf/lib/shared-egress.h', 'bpf/lib/shared-service.h'].map(path => join(ROOT, path))
const CONFIG = join(ROOT, 'bpf/lib/config.h')

function sharedText(): string {
  return SHARED.map(path => readFileSync(path, 'utf8')).join('')
}

/** The object with every structure, enumeration and constant; its path. */
async function compileLayouts(): Promise<string> {
  const folder = join(ROOT, 'build/bpf/gen')
  const source = join(folder, 'layouts.bpf.c')
  const variables = declaredTypes(sharedText()).map((type, i) => `${type} layout${i};`)
  const text = ['#include "shared.h"', '#include "config.h"', ...variables, ''].join('\n')
  mkdirSync(folder, { recursive: true })
  if (contentOf(source) !== text) writeFileSync(source, text)
  const output = join(folder, 'layouts.o')
  await compileIfStale({ root: ROOT, source, output })
  return output
}

interface GeneratedFile {
  /** Relative to the root. */
  readonly path: string
  readonly content: string
}

function sharedFile(btf: Btf): GeneratedFile {
  const header = sharedText()
  const comments = readComments(header)
  const parts = declaredTypes(header).map(declared => {
    const [kind = '', name = ''] = declared.split(' ')
    const struct = kind === 'struct' ? btf.find('struct', name) : undefined
    const enumeration = kind === 'enum' ? btf.find('enum', name) : undefined
    if (struct) return structSource(btf, struct, comments)
    if (enumeration) return enumSource(enumeration, comments)
    throw new RangeError(`${declared} is not in the BTF of the compiled layouts`)
  })
  const imports = "import { getBytes, type Layout, putBytes, putZeros } from '../kernel/bpf/layout.ts'\n"
  return generated('shared', `Structures and numbers shared with the programs. ${ORDER}`, [imports, ...parts])
}
const ORDER = 'Values in network order are numbers here; addresses are bytes.'

function configFile(btf: Btf, elf: Elf): GeneratedFile {
  const comments = readComments(readFileSync(CONFIG, 'utf8'))
  return generated('config', 'Load-time constants of the programs.', [constantsSource(btf, elf, comments)])
}

function generated(name: string, what: string, parts: readonly string[]): GeneratedFile {
  const head = `/** ${what} Generated from bpf/lib/${name}.h by \`npm run gen\`; not to be edited. */`
  return { path: `daemon/datapath/${name}.gen.ts`, content: `${[head, ...parts].join('\n').trimEnd()}\n` }
}

function write(files: readonly GeneratedFile[]): number {
  for (const { path, content } of files)
    if (contentOf(join(ROOT, path)) !== content) writeFileSync(join(ROOT, path), content)
  return 0
}

function check(files: readonly GeneratedFile[]): number {
  const stale = files.filter(({ path, content }) => contentOf(join(ROOT, path)) !== content)
  for (const { path } of stale) process.stderr.write(`${path} is not what its source says: run npm run gen\n`)
  return stale.length === 0 ? 0 : 1
}

function contentOf(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

process.exitCode = await main(process.argv.slice(2))
