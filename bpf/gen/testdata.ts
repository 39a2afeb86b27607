/** For the tests of this folder: C compiled for eBPF. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Btf, parseBtf } from '../../daemon/kernel/bpf/btf.ts'
import { compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { Elf } from './elf.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export async function compile(source: string): Promise<{ readonly elf: Elf; readonly btf: Btf }> {
  const dir = mkdtempSync(join(tmpdir(), 'causeway-gen-'))
  try {
    const file = join(dir, 'test.bpf.c')
    writeFileSync(file, source)
    const output = join(dir, 'test.o')
    await compileObject({ root: ROOT, source: file, output })
    const elf = new Elf(readFileSync(output))
    return { elf, btf: parseBtf(elf.section('.BTF') ?? new Uint8Array()) }
  } finally {
    rmSync(dir, { recursive: true })
  }
}
