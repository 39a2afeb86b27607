/** The runner of guests itself: what it brings back, and that whatever goes wrong in a guest is caught, told and bounded. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mustRun, withParent } from '../../deploy/lab/command.ts'
import { compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { eventually } from '../support/eventually.ts'
import { CONSOLE_FILE, type GuestEnd, runGuest } from './boot.ts'
import { KERNEL_LOG_FILE, OUTPUT_FILE } from './guest-script.ts'
import { type Kernel, KernelCache } from './kernel-cache.ts'
import { runSuite } from './run-suite.ts'
import { chooseSuites } from './suites.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Beside what `npm run test:vm` leaves. */
const OUTPUT = join(ROOT, 'build/vm/runner')
const NO_PROGRESS = (): void => {}

suite('the runner of guests', () => {
  let cache: KernelCache
  let kernel: Kernel
  before(async () => {
    mkdirSync(OUTPUT, { recursive: true })
    cache = KernelCache.open({})
    const [found] = await cache.find(['6.12'])
    assert.ok(found !== undefined && 'release' in found, JSON.stringify(found))
    kernel = found
  })
  after(() => cache?.[Symbol.dispose]())

  const run = (
    name: string,
    command: string,
    limitMs = 60_000,
    signal = new AbortController().signal,
  ): Promise<GuestEnd> =>
    runGuest({
      kernel,
      command: ['sh', '-c', command],
      cwd: ROOT,
      env: { GREETING: "it's a guest" },
      shared: OUTPUT,
      folder: join(OUTPUT, name),
      memoryMiB: 512,
      limitMs,
      countInstructions: false,
      signal,
    })
  const left = (name: string, file: string): string => readFileSync(join(OUTPUT, name, file), 'utf8')

  test("brings back a command's output and status, the console and the kernel's log", async () => {
    const { status, problem } = await run(
      'well',
      'echo "$GREETING, Linux $(uname -r)"; echo here > kept-in-memory; exit 7',
    )
    assert.deepEqual([status, problem], [7, ''])
    assert.equal(left('well', OUTPUT_FILE), `it's a guest, Linux ${kernel.release}\n`)
    assert.match(left('well', KERNEL_LOG_FILE), /Linux version 6\.12/)
    assert.ok(existsSync(join(OUTPUT, 'well', CONSOLE_FILE)))
    assert.equal(existsSync(join(ROOT, 'kept-in-memory')), false, 'what a guest writes stays in its memory')
  })

  test('tells that a guest panicked, with the end of its console', async () => {
    const { status, problem } = await run('panic', 'echo c > /proc/sysrq-trigger')
    assert.equal(status, undefined)
    assert.match(
      problem,
      /^Kernel panic - not syncing: sysrq triggered crash\n.*console from there on:\n(.*\n)+.*Call Trace/,
    )
  })

  test('ends a guest that hangs, with the end of its console', async () => {
    const { status, problem } = await run('hang', 'echo waiting > /dev/kmsg; sleep 1000', 20_000)
    assert.equal(status, undefined)
    assert.match(problem, /^it did not end within 20 s\n/)
    assert.deepEqual(await processesOf('hang'), [])
  })

  test('ends a guest when it is interrupted', async () => {
    const stop = new AbortController()
    const running = run('interrupted', 'sleep 1000', 60_000, stop.signal)
    await eventually(async () => (await processesOf('interrupted')).length > 0)
    stop.abort(new Error('interrupted'))
    await assert.rejects(running, /^Error: interrupted$/)
    assert.deepEqual(await processesOf('interrupted'), [])
  })

  test('leaves no guest when it is killed', async () => {
    const script = join(ROOT, 'test/vm/testdata/hang.ts')
    const folder = join(OUTPUT, 'killed')
    const [file = '', ...args] = withParent([
      process.execPath,
      script,
      JSON.stringify({ kernel, shared: OUTPUT, folder }),
    ])
    const child = spawn(file, args, { stdio: 'inherit' })
    await eventually(async () => (await processesOf('killed')).length > 0, { timeoutMs: 20_000 })
    child.kill('SIGKILL')
    await eventually(async () => (await processesOf('killed')).length === 0)
  })

  test('catches a program that the verifier refuses, and names it', async () => {
    const objects = join(OUTPUT, 'objects')
    rmSync(objects, { recursive: true, force: true })
    const source = join(ROOT, 'daemon/datapath/testdata/refused.bpf.c')
    await compileObject({ root: ROOT, source, output: join(objects, 'broken.o') })
    const [verifier] = chooseSuites(['verifier'])
    assert.ok(verifier)
    const { failures } = await runSuite(kernel, verifier, {
      root: ROOT,
      output: OUTPUT,
      limitMs: 120_000,
      env: { GUEST_OBJECTS: objects },
      signal: new AbortController().signal,
      progress: NO_PROGRESS,
    })
    const loads = failures.filter(({ name }) => /verifier\.test\.ts: .*loads with off/.test(name))
    assert.equal(loads.length, 1, JSON.stringify(failures.map(f => f.name)))
    assert.match(
      loads[0]?.why ?? '',
      /verifying program reads_too_far of .*broken\.o: .*\n(.*\n)*.*invalid access to packet/,
    )
  })

  test('keeps TAP of each file', () => {
    const folder = join(OUTPUT, '6.12/verifier/tap')
    const [name = ''] = readdirSync(folder)
    assert.match(readFileSync(join(folder, name), 'utf8'), /^TAP version 13\n(.*\n)*\s*not ok \d+ - loads with off$/m)
  })
})

test('a mirror that is away is the reason why there is no kernel', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-mirror-'))
  t.after(() => rmSync(folder, { recursive: true }))
  // Port 9 of the loopback (discard): nobody listens there.
  using cache = KernelCache.open({ folder, mirror: 'http://127.0.0.1:9/' })
  const [missing] = await cache.find(['6.12'])
  assert.ok(missing !== undefined && 'reason' in missing)
  assert.equal(missing.mirrorAway, true)
  assert.match(missing.reason, /^the mirror is away: apt-get update: [EW]: /)
})

test('a disk without room is told before anything is fetched', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-disk-'))
  await mustRun(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', folder])
  t.after(async () => {
    await mustRun(['umount', folder])
    rmSync(folder, { recursive: true })
  })
  using cache = KernelCache.open({ folder })
  await assert.rejects(cache.find(['6.12']), /^SetupError: only 6\d MiB free at .*; make room: 1 GiB is needed$/)
})

/** Ids of the guest's emulator and file servers: their command lines name its folder, or hold it open. */
async function processesOf(name: string): Promise<string[]> {
  const lines = (await mustRun(['ps', '-eo', 'pid=,args='])).split('\n')
  return lines.filter(line => line.includes('qemu-system') && line.includes(join(OUTPUT, name)))
}
