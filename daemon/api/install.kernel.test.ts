import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const SCRIPT = `
  const { installExecutable } = await import(process.argv[1])
  try { installExecutable('/bin/true', process.argv[2]) } catch (error) { console.log(error.code, error.message) }`

const disks = {
  ro: /^INSTALL \S+: the file system is read-only: mount it writable/,
  'size=4k': /^INSTALL \S+: there is no room left: make some/,
}
for (const [options, message] of Object.entries(disks))
  test(`a directory on a file system with ${options} is refused with what can be done`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'cw-install-'))
    try {
      const mounted = `mount -t tmpfs -o ${options} none ${folder} && exec "$0" "$@"`
      const module = join(import.meta.dirname, 'install.ts')
      const run = [process.execPath, '--input-type=module', '-e', SCRIPT, module, folder]
      const said = execFileSync('unshare', ['--mount', 'sh', '-c', mounted, ...run], { encoding: 'utf8' })
      assert.match(said, message)
    } finally {
      rmdirSync(folder)
    }
  })
