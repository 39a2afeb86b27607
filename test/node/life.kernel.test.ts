/**
 * Pods' lives on the real kernel: the daemon killed at every step of ADD and DEL, and under random verbs and kills.
 * `SEEDS=N` lives so many random lives whatever they take, `SEED=N` replays one.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test, type TestContext } from 'node:test'
import { ADD_STEPS, DEL_STEPS, type Step } from '../../daemon/endpoint/steps.ts'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import { type Collection, generateLife, type Happening, type Simple, type Single } from '../support/life/generate.ts'
import { live, type LiveOptions } from '../support/life/live.ts'
import { sweepRealNodes } from '../support/life/real-node.ts'
import { RealWorld, type RealWorldOptions } from '../support/life/real-world.ts'
import { Random } from '../support/random.ts'

const PODS = ['a', 'b', 'c', 'd', 'e']
/** Happenings of a random life. */
const LENGTH = 18
/** Worlds side by side: much of a life is waiting. */
const LANES = 2

const ROOMY = pool('10.71.1.0/24', 'fd00:71:0:1::/112')
/** The bystanders take two of six addresses, so that the five pods have one too few. */
const SCARCE = pool('10.71.1.0/29', 'fd00:71:0:1::/125')

function pool(...ranges: readonly string[]): string {
  const text = ranges.map(range => `'${range}'`).join(', ')
  return `cluster-pool={pools: [{name: default, ranges: [${text}], cooldownSeconds: 0}]}`
}

function optionsOf(scarce: boolean): LiveOptions {
  return { pods: PODS, families: 2, scarce, patienceMs: 25_000 }
}

/** The end of a node: connections that were never reset, pods deleted, nothing left after `uninstall`. */
async function end(world: RealWorld): Promise<{ readonly gapMs: number }> {
  const reports = await world.endStreams()
  assert.deepEqual(
    reports.filter(report => !report.ok),
    [],
  )
  await world.dismiss()
  assert.deepEqual(await world.uninstall(), [])
  return { gapMs: Math.max(...reports.map(report => report.longestGapMs)) }
}

function withLog(world: RealWorld, replay: string, error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error)
  return new Error(`${replay}${text}\nthe daemon's log ends:\n${world.node.log(60)}`)
}

before(async () => {
  await warmThreadPool()
  await sweepRealNodes()
})

interface Row {
  readonly name: string
  /** Where the daemon must have died. */
  readonly step: Step
  readonly patient: boolean
  readonly life: readonly Happening[]
}

const add = (pod: string): Single => ({ kind: 'add', pod })
const del = (pod: string): Single => ({ kind: 'del', pod })
const restart: Happening = { kind: 'restart' }
const die = (step: Step, during: Simple | Collection, nth = 1): Happening => ({ kind: 'die', step, nth, during })
const check = (pod: string): Happening => ({ kind: 'check', pod })

/** Of pods a and b, which live before, a must live on. */
function rowsOfAdd(step: Step): Row[] {
  const among: Simple = { kind: 'together', all: [add('c'), add('d'), del('b'), add('e')] }
  const row = (name: string, patient: boolean, ...life: readonly Happening[]): Row => {
    return { name: `killed at ${step}: ${name}`, step, patient, life: [add('a'), add('b'), ...life] }
  }
  return [
    row('the ADD that waits is served by the next daemon', true, die(step, add('c')), check('c'), check('a')),
    row('a runtime that gave up is done with its DEL', false, die(step, add('c')), del('c'), restart, add('d')),
    row(
      'a pod that is never deleted goes with its namespace',
      false,
      die(step, add('c')),
      restart,
      gone('c'),
      add('d'),
    ),
    row('nothing is left of a pod that went in between', false, die(step, add('c')), gone('c'), restart, add('d')),
    row('other ADDs and DELs were under way', true, die(step, among, 2), check('a')),
    row('other ADDs and DELs were given up', false, die(step, among, 2), restart, check('a')),
  ]
}

function rowsOfDel(step: Step): Row[] {
  const among: Simple = { kind: 'together', all: [del('b'), add('c'), del('d'), add('e')] }
  const row = (name: string, patient: boolean, ...life: readonly Happening[]): Row => {
    return { name: `killed at ${step}: ${name}`, step, patient, life: [add('a'), add('b'), add('d'), ...life] }
  }
  const queued: readonly Happening[] = [{ kind: 'kill' }, del('b'), { kind: 'restart', dieAt: step }]
  return [
    row('the DEL is kept and done by the next daemon', true, die(step, del('b')), restart, add('c'), check('a')),
    row('the DEL is repeated', false, die(step, del('b')), restart, del('b'), del('b'), check('a')),
    row('the DEL never comes again', false, die(step, del('b')), restart, gone('b'), add('c'), check('a')),
    row('other ADDs and DELs were under way', true, die(step, among), check('a')),
    row('other ADDs and DELs were given up', false, die(step, among, 2), restart, check('a')),
    row('it was replaying the queue', true, ...queued, restart, check('a')),
    row('it was collecting garbage', true, die(step, { kind: 'gc', without: 'b' }), restart, check('a')),
  ]
}

function gone(pod: string): Simple {
  return { kind: 'remove-namespace', pod }
}

suite('a daemon', { concurrency: LANES }, () => {
  const idle: { world: RealWorld; options: { patient: boolean } }[] = []
  let lanes = 0

  after(async () => {
    for (const { world } of idle) {
      await using _ = world
      await end(world)
    }
  })

  async function worldFor(): Promise<(typeof idle)[number]> {
    const ready = idle.pop()
    if (ready !== undefined) return ready
    const options = { patient: false }
    const world = await RealWorld.start({ lane: lanes++, set: [ROOMY], patient: () => options.patient })
    return { world, options }
  }

  for (const row of [...ADD_STEPS.flatMap(rowsOfAdd), ...DEL_STEPS.flatMap(rowsOfDel)])
    test(row.name, async () => {
      const lent = await worldFor()
      const { world, options } = lent
      try {
        options.patient = row.patient
        const before = world.node.daemon.fallen.length
        await live(world, row.life, optionsOf(false))
        assert.deepEqual(world.node.daemon.fallen.slice(before), [row.step])
        idle.push(lent)
      } catch (error) {
        const told = withLog(world, '', error)
        await world[Symbol.asyncDispose]()
        throw told
      }
    })
})

/** With something of everything half-done: a device, a map entry, a journal entry, a deletion. */
for (const step of ['add.device', 'add.settled', 'add.journal', 'del.row'] as const)
  test(`after a daemon was killed at ${step}, uninstall leaves nothing of it and of its pods`, async () => {
    await using world = await RealWorld.start({ set: [ROOMY], patient: () => false })
    await world.endStreams()
    if (step === 'del.row') await world.add('a')
    await world.dieAt(step, 1)
    await (step === 'del.row' ? world.del('a') : world.add('a'))
    assert.deepEqual(world.node.daemon.fallen, [step])
    assert.deepEqual(await world.uninstall('--force'), [])
  })

/** Every fourth life has fewer addresses than pods. */
function worldOf(seed: number, lane: number): RealWorldOptions {
  const random = new Random(seed)
  const patient = (): boolean => random.below(2) === 0
  if (seed % 4 === 0) return { lane, patient, set: [SCARCE], addTimeoutMs: 1500 }
  return { lane, patient, set: [ROOMY] }
}

async function liveSeed(t: TestContext, seed: number, lane: number): Promise<void> {
  const startedMs = performance.now()
  await using world = await RealWorld.start(worldOf(seed, lane))
  const { daemon } = world.node
  try {
    await live(world, generateLife(seed, LENGTH, PODS), optionsOf(seed % 4 === 0))
    const { gapMs } = await end(world)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    t.diagnostic(
      `seed ${seed}: ${seconds} s, ${daemon.starts} daemons, killed at ${daemon.fallen.join(' ')}, ` +
        `longest gap ${gapMs.toFixed(0)} ms`,
    )
  } catch (error) {
    throw withLog(world, `replay: SEED=${seed} node --test test/node/life.kernel.test.ts\n`, error)
  }
}

const { SEED: one, SEEDS: many } = process.env
/** Without a number that somebody asked for: as many as begin within the time, which starting daemons takes most of. */
const MOST = 20
const LEAST = 6
const BEGIN_WITHIN_MS = 60_000
const seeds = one === undefined ? Array.from({ length: Number(many ?? MOST) }, (_, i) => i + 1) : [Number(one)]

test('random lives on the real kernel leave nothing over and harm no living pod', async t => {
  const queue = [...seeds]
  const least = one === undefined && many === undefined ? LEAST : seeds.length
  const began = performance.now()
  let begun = 0
  const next = (): number | undefined =>
    begun < least || performance.now() < began + BEGIN_WITHIN_MS ? queue.shift() : undefined
  const lane = async (_: unknown, number: number): Promise<void> => {
    for (let seed = next(); seed !== undefined; seed = next()) {
      begun++
      await liveSeed(t, seed, number)
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: Math.min(LANES, seeds.length) }, lane))
  const failures = ends.flatMap(e => (e.status === 'rejected' ? [(e.reason as Error).message] : []))
  if (failures.length > 0) assert.fail(failures.join('\n\n'))
  assert.ok(begun >= least, `${begun} lives`)
})
