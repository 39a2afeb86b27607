import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../../deploy/lab/command.ts'

const MODULE = fileURLToPath(new URL('kill-at.ts', import.meta.url))

/** A process that passes these steps with that wish; the signal that ended it. */
async function pass(wish: string, steps: readonly string[]): Promise<string | undefined> {
  const program = `
    import { faultFrom } from ${JSON.stringify(MODULE)}
    const fault = faultFrom({ CAUSEWAY_TEST_KILL_AT: ${JSON.stringify(wish)} })
    for (const step of ${JSON.stringify(steps)}) fault(step)`
  const { status, signal } = await runCommand([process.execPath, '--input-type=module-typescript', '-e', program])
  return status === 0 ? undefined : signal
}

test('a process dies at the step of its environment, at the n-th passing', async () => {
  assert.equal(await pass('add.row', ['add.begin', 'add.row']), 'SIGKILL')
  assert.equal(await pass('add.row:2', ['add.row', 'del.row']), undefined)
  assert.equal(await pass('add.row:2', ['add.row', 'del.row', 'add.row']), 'SIGKILL')
})

test('a process dies at the step of a file, which counts down and is gone with it', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'cw-kill-at-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'wish')
  assert.equal(await pass(`@${file}`, ['add.row']), undefined)
  writeFileSync(file, 'add.row:3')
  assert.equal(await pass(`@${file}`, ['add.row', 'add.pod']), undefined)
  assert.equal(readFileSync(file, 'utf8'), 'add.row:2')
  assert.equal(await pass(`@${file}`, ['add.row', 'add.row']), 'SIGKILL')
  assert.equal(existsSync(file), false)
})
