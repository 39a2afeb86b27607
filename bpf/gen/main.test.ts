import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What generation reads and writes. */
const PARTS = ['bpf/gen', 'bpf/lib', 'daemon/kernel', 'daemon/datapath', 'deploy/setup', 'package.json']

describe('npm run gen', () => {
  let tree: string
  beforeEach(() => {
    tree = mkdtempSync(join(tmpdir(), 'causeway-gen-'))
    for (const part of PARTS) cpSync(join(ROOT, part), join(tree, part), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  })
  afterEach(() => rmSync(tree, { recursive: true }))

  const gen = (...args: readonly string[]): void => {
    execFileSync(process.execPath, [join(tree, 'bpf/gen/main.ts'), ...args])
  }
  const check = (): { readonly status: number | null; readonly stderr: string } =>
    spawnSync(process.execPath, [join(tree, 'bpf/gen/main.ts'), '--check'], { encoding: 'utf8' })
  const edit = (path: string, change: (text: string) => string): void =>
    writeFileSync(join(tree, path), change(readFileSync(join(tree, path), 'utf8')))

  it('finds the committed files current', () => {
    assert.deepEqual([check().status, check().stderr], [0, ''])
  })

  it('names the file that an edited header leaves behind, until it is generated anew', () => {
    edit('bpf/lib/shared.h', text => `${text}\nstruct added {\n\t__u32 field; /* new */\n};\n`)
    assert.deepEqual([check().status, check().stderr.split(' ')[0]], [1, 'daemon/datapath/shared.gen.ts'])
    gen()
    assert.equal(check().status, 0)
    assert.match(readFileSync(join(tree, 'daemon/datapath/shared.gen.ts'), 'utf8'), /export function decodeAdded\(/)
  })

  it('names a generated file that was edited by hand', () => {
    edit('daemon/datapath/config.gen.ts', text => text.replace('readonly', ''))
    assert.deepEqual([check().status, check().stderr.split(' ')[0]], [1, 'daemon/datapath/config.gen.ts'])
  })
})
