import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { cpio } from './initramfs.ts'

const FILE = 0o100_644
const ARCHIVE = cpio([
  { name: 'folder', mode: 0o040_755 },
  { name: 'folder/a', mode: FILE, contents: Buffer.from('one') },
  { name: 'init', mode: 0o100_755, contents: Buffer.from('#!/bin/sh\n') },
])

/** busybox's cpio stands for the kernel's. */
function busybox(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('busybox', ['cpio', ...args], { input: ARCHIVE, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout
}

test('the archive holds the entries in their order, with modes and sizes', () => {
  const lines = busybox('-tv').trimEnd().split('\n')
  assert.deepEqual(
    lines.map(line => line.replace(/\s+/g, ' ').replace(/ \d{4}-\S+ \S+ /, ' ')),
    ['drwxr-xr-x 0/0 0 folder', '-rw-r--r-- 0/0 3 folder/a', '-rwxr-xr-x 0/0 10 init'],
  )
})

test('contents come out as they went in', () => {
  assert.equal(busybox('-i', '--to-stdout', 'folder/a'), 'one')
})
