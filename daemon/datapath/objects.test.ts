import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

test('the compiled programs are found below a path with characters that a URL writes otherwise', async () => {
  const root = mkdtempSync(join(tmpdir(), 'my projects ä#%-'))
  try {
    const copy = join(root, 'daemon/datapath/objects.ts')
    cpSync(join(import.meta.dirname, 'objects.ts'), copy, { recursive: true })
    const copied = (await import(pathToFileURL(copy).href)) as typeof import('./objects.ts')
    assert.equal(copied.OBJECT_DIRECTORY, join(root, 'build/bpf'))
  } finally {
    rmSync(root, { recursive: true })
  }
})
