import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { installExecutable } from './install.ts'

function folder() {
  const root = mkdtempSync(join(tmpdir(), 'cw-install-'))
  const from = join(root, 'causeway')
  const bin = join(root, 'bin')
  writeFileSync(from, 'new', { mode: 0o755 })
  mkdirSync(bin)
  return { root, from, bin, target: join(bin, 'causeway'), [Symbol.dispose]: () => rmSync(root, { recursive: true }) }
}

test('an executable is put in place with its mode, and not again', () => {
  using at = folder()
  const before = process.umask(0o077)
  try {
    assert.equal(installExecutable(at.from, at.bin), true)
  } finally {
    process.umask(before)
  }
  const first = statSync(at.target)
  assert.deepEqual([readFileSync(at.target, 'utf8'), first.mode & 0o777], ['new', 0o755])
  assert.equal(installExecutable(at.from, at.bin), false)
  assert.equal(statSync(at.target).ino, first.ino)
  assert.deepEqual(readdirSync(at.bin), ['causeway'])
})

test('another one takes its place, also one of the same content that could not be executed', () => {
  using at = folder()
  writeFileSync(at.target, 'old', { mode: 0o755 })
  assert.equal(installExecutable(at.from, at.bin), true)
  assert.equal(readFileSync(at.target, 'utf8'), 'new')
  rmSync(at.target)
  writeFileSync(at.target, 'new', { mode: 0o644 })
  assert.equal(installExecutable(at.from, at.bin), true)
  assert.equal(statSync(at.target).mode & 0o777, 0o755)
})

test('what a killed run left is no hindrance', () => {
  using at = folder()
  writeFileSync(join(at.bin, '.causeway.tmp'), 'ne')
  assert.equal(installExecutable(at.from, at.bin), true)
  assert.deepEqual(readdirSync(at.bin), ['causeway'])
})

test('one that runs goes on: it is not written into', async () => {
  using at = folder()
  copyFileSync('/bin/sleep', at.target)
  const running = new Promise<number | string | undefined>(resolve => {
    const child = execFile(at.target, ['0.3'], error => resolve(error?.code ?? child.exitCode ?? undefined))
  })
  const { ino } = statSync(at.target)
  assert.equal(installExecutable(at.from, at.bin), true)
  assert.notEqual(statSync(at.target).ino, ino)
  assert.equal(await running, 0)
})

test('a directory that is not there is named with the way out', () => {
  using at = folder()
  const missing = join(at.root, 'missing')
  assert.throws(() => installExecutable(at.from, missing), {
    code: 'INSTALL',
    message: new RegExp(`there is no directory ${missing}: create it on the node; .*hostPath`),
  })
})
