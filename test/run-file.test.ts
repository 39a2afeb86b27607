/** What counts as a file that passed: nothing that a test file does on its way out makes it look green. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type FileResult, type FileRun, runFile } from './run-file.ts'

interface Case {
  readonly source: string
  readonly with?: Partial<FileRun>
  /** `passed`, then the names of failures with the first line of why, then those of skips. */
  readonly want: readonly string[]
}

/** Keeps the process until it is killed. */
const FOREVER = 'setInterval(() => {}, 1e6)'
/** What a test does after others, once they have been told of. */
const later = (what: string): string => `test('last', async () => { await new Promise(setImmediate); ${what} })`
const DIES = later("process.kill(process.pid, 'SIGKILL')")

const cases: Readonly<Record<string, Case>> = {
  'tests that pass': {
    source: "test('one', () => {}); suite('many', () => { test('two', t => t.test('three', () => {})) })",
    want: ['3 passed'],
  },
  'a test that fails': {
    source: "test('one', () => {})\ntest('two', () => { throw new Error('why') })",
    want: ['1 passed', '✖ two (line 3): Error: why'],
  },
  'a test that fails within others, which is counted once': {
    source: "suite('s', () => { test('t', t => t.test('deep', () => { throw new Error('why') })) })",
    want: ['0 passed', '✖ deep (line 2): Error: why'],
  },
  'a process that dies after a test has failed': {
    source: `test('one', () => { throw new Error('why') }); ${DIES}`,
    want: [
      '0 passed',
      '✖ one (line 2): Error: why',
      '✖ this file: ended (SIGKILL) before its tests did; these were running:',
    ],
  },
  'a process that dies after a test has passed': {
    source: `test('one', () => {}); ${DIES}`,
    want: ['1 passed', '✖ this file: ended (SIGKILL) before its tests did; these were running:'],
  },
  'a process that ends by itself in the middle, with status 0': {
    source: `test('one', () => {}); ${later('process.reallyExit(0)')}`,
    want: ['1 passed', '✖ this file: ended (status 0) before its tests did; these were running:'],
  },
  'a file that does not load': {
    source: "import './nowhere.mjs'",
    want: ['0 passed', '✖ this file: ended (status 1) before its tests did; no test was running'],
  },
  'a status that its tests do not explain': {
    source: "test('one', () => {}); process.on('exit', () => process.reallyExit(3))",
    want: ['1 passed', '✖ this file: ended with status 3'],
  },
  'a hook that fails': {
    source: "suite('s', () => { before(() => { throw new Error('why') }); test('one', () => {}) })",
    want: [
      '0 passed',
      '✖ one (line 2): test did not finish before its parent and was cancelled',
      '✖ s (line 2): Error: why',
    ],
  },
  'a hook of the file that fails at the end': {
    source: "test('one', () => {}); after(() => { throw new Error('why') })",
    want: ['1 passed', '✖ a hook of this file: Error: why'],
  },
  'a test that hangs': {
    source: "test('one', () => new Promise(done => setTimeout(done, 1000))); test('two', () => {})",
    with: { testTimeoutMs: 50 },
    want: ['1 passed', '✖ one (line 2): test timed out after 50ms'],
  },
  'a process that does not end after its tests': {
    source: `test('one', () => { ${FOREVER} })`,
    with: { timeoutMs: 1500 },
    want: ['1 passed', '✖ this file: did not end within 1.5 s; no test was running'],
  },
  'a process that does not end in a test': {
    source: later('for (;;);'),
    with: { timeoutMs: 1500 },
    want: ['0 passed', '✖ this file: did not end within 1.5 s; these were running:'],
  },
  'a run whose time is over before': {
    source: "test('one', () => {})",
    with: { signal: AbortSignal.abort() },
    want: ['0 passed', '✖ this file: was not run: the time of the whole run is over'],
  },
  'tests and suites that are skipped, with the reason': {
    source: "test('one', t => t.skip('no tcx')); suite('s', { skip: 'no apt' }, () => { test('in it', () => {}) })",
    want: ['0 passed', '- one (line 2): no tcx', '- s (line 2): no apt'],
  },
  'only tests whose name matches': {
    source: "test('one', () => {}); test('two', () => { throw new Error('why') })",
    with: { namePattern: '^o' },
    want: ['1 passed'],
  },
}

suite('a test file in a process of its own', { concurrency: 2 }, () => {
  let folder: string
  before(() => (folder = mkdtempSync(join(tmpdir(), 'causeway-run-file-'))))
  after(() => rmSync(folder, { recursive: true }))

  const run = async (name: string, source: string, options: Partial<FileRun> = {}): Promise<FileResult> => {
    const file = join(folder, `${name.replaceAll(' ', '-')}.test.mjs`)
    writeFileSync(file, `import { after, before, suite, test } from 'node:test'\n${source}\n`)
    const limits = { timeoutMs: 60_000, testTimeoutMs: 30_000, signal: new AbortController().signal }
    return await runFile({ file, cwd: folder, ...limits, ...options })
  }

  for (const [name, { source, with: options, want }] of Object.entries(cases))
    test(name, async () => assert.deepEqual(linesOf(await run(name, source, options)), want))

  test('a run whose time is over ends the file that is running', async () => {
    const stop = new AbortController()
    const result = run('hangs', `test('one', () => new Promise(() => ${FOREVER}))`, { signal: stop.signal })
    stop.abort()
    assert.match(linesOf(await result)[1] ?? '', /^✖ this file: was ended: the time of the whole run is over/)
  })

  test('what was printed is kept, and a program that was left behind holds nothing up', async () => {
    const spawn = "import { spawn } from 'node:child_process'\n"
    const left = "spawn('sleep', ['60'], { stdio: 'inherit' }).unref(); console.log('to out'); console.error('to err')"
    const { output, passed, failures } = await run('leaves', `${spawn}test('one', () => { ${left} })`)
    assert.deepEqual([passed, failures], [1, []])
    assert.match(output, /to out\n/)
    assert.match(output, /to err\n/)
  })
})

function linesOf({ passed, failures, skipped }: FileResult): string[] {
  return [
    `${passed} passed`,
    ...failures.map(({ name, why }) => `✖ ${name}: ${why.split('\n')[0]}`),
    ...skipped.map(({ name, why }) => `- ${name}: ${why}`),
  ]
}
