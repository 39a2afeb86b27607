import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { runCli } from './cli.ts'
import { commands } from './commands.ts'
import { noPrograms } from '../../test/support/no-programs.ts'
import type { Programs } from './programs.ts'

/** Runs `causeway daemon` with that for a daemon, on a clock that stands. */
function run(t: TestContext, runDaemon: Programs['runDaemon'], signal = new AbortController().signal) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const exits: unknown[] = []
  t.mock.method(process, 'exit', (status: unknown) => void exits.push(status))
  let said = ''
  const programs: Programs = {
    ...noPrograms,
    runDaemon,
  }
  const terminal = { args: ['daemon'], env: { CAUSEWAY_CONFIG: '/dev/null' }, isTty: false, signal, programs }
  const status = runCli({ ...terminal, out: () => {}, err: text => void (said += text) }, commands)
  return { exits, status, said: () => said }
}

test('a daemon that does not stop is ended within 10 s of its signal', async t => {
  const stop = new AbortController()
  const started = Promise.withResolvers<void>()
  const stuck = async (): Promise<void> => (started.resolve(), new Promise<never>(() => {}))
  const { exits, said } = run(t, stuck, stop.signal)
  await started.promise
  t.mock.timers.tick(60_000)
  assert.deepEqual(exits, [])
  stop.abort(new Error('stopped by SIGTERM'))
  t.mock.timers.tick(9_500)
  assert.deepEqual(exits, [1])
  assert.match(said(), /the daemon did not stop within 9500 ms and ends now/)
})

test('what a plugin left running does not keep a process alive that serves nobody any more', async t => {
  const { exits, status } = run(t, () => Promise.reject(new Error('plugin odd: stopped running')))
  assert.equal(await status, 1)
  t.mock.timers.tick(9_500)
  assert.deepEqual(exits, [1])
})
