import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { claimSocket } from './socket.ts'

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'cw-claim-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

test('a second daemon on the same directory is refused with the first one named', t => {
  const run = directory(t)
  const first = claimSocket(run)
  assert.throws(() => claimSocket(run), { code: 'API_IN_USE', pid: process.pid })
  first[Symbol.dispose]()
  claimSocket(run)[Symbol.dispose]()
})

test('the directory of a daemon that was killed is taken over, its socket removed', async t => {
  const run = directory(t)
  const program = `
    const { claimSocket } = await import(${JSON.stringify(new URL('./socket.ts', import.meta.url).href)})
    claimSocket(${JSON.stringify(run)})
    console.log('up')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  assert.throws(() => claimSocket(run), { code: 'API_IN_USE', pid: child.pid })
  writeFileSync(join(run, 'api.sock'), 'not even a socket')
  child.kill('SIGKILL')
  await once(child, 'exit')
  using _claim = claimSocket(run)
  assert.equal(existsSync(join(run, 'api.sock')), false)
  assert.equal(readFileSync(join(run, 'api.lock'), 'utf8'), `${process.pid}\n`)
})

test('a claim that fails half-way gives the lock back', t => {
  const run = directory(t)
  const inTheWay = join(run, 'api.sock')
  mkdirSync(inTheWay)
  assert.throws(() => claimSocket(run), { code: 'ERR_FS_EISDIR' })
  rmSync(inTheWay, { recursive: true })
  claimSocket(run)[Symbol.dispose]()
})
