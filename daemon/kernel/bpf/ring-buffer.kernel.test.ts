import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { codec, type Layout, u32 } from './layout.ts'
import { loadObject, type LoadedObject } from './object.ts'
import { pin } from './pin.ts'
import { RingBuffer, type RingBufferOptions } from './ring-buffer.ts'
import { skbContext, testRun } from './test-run.ts'
import { openBpffs } from './testdata/bpffs.ts'
import { runChild } from './testdata/child.ts'
import { compileTestdata, type Objects } from './testdata/compile.ts'
import { until } from '../testdata/until.ts'

const packet = new Uint8Array(64)
/** bpf_ringbuf_output's flag, handed to the test program as the packet's mark. */
const NO_WAKEUP = 1
const state: Layout<{ readonly written: number; readonly lost: number }> = {
  size: 16,
  decode: (view, at) => ({
    written: Number(view.getBigUint64(at, true)),
    lost: Number(view.getBigUint64(at + 8, true)),
  }),
  encode: () => undefined,
}

describe('a ring buffer', () => {
  let objects: Objects
  before(async () => {
    objects = await compileTestdata('ring')
  })
  after(() => objects[Symbol.dispose]())

  const open = (): LoadedObject => loadObject(objects.path('ring'))
  const produce = (object: LoadedObject, repeat: number, mark = 0): void => {
    testRun(object.programFd('produce'), { data: packet, context: skbContext({ mark }), repeat })
  }

  it('hands records over in order, whole, soon after they are written', async () => {
    using object = open()
    const reader = new Reader()
    using _ring = reader.open(object)
    produce(object, 1)
    await until(
      () => reader.count === 1,
      () => `${reader.count} records`,
    )
    produce(object, 500)
    await until(
      () => reader.count === 501,
      () => `${reader.count} records`,
    )
    assert.deepEqual(reader.problems, [])
  })

  it('passes a million records on from another process without a gap, while others find no room', async () => {
    using fs = openBpffs()
    using object = open()
    using map = object.map('state', codec(u32, state))
    const reader = new Reader()
    using ring = reader.open(object)
    pin(object.programFd('produce'), fs.path('produce'))
    pin(map.fd, fs.path('state'))
    await runChild('produce', [fs.dir, '1000000'])
    const { written, lost } = map.lookup(0) ?? { written: 0, lost: 0 }
    assert.ok(written >= 1_000_000 && lost > 0, `${written} written, ${lost} lost`)
    await until(
      () => reader.count === written,
      () => `${reader.count} of ${written} records`,
    )
    // What was lost is lost to the program alone: the numbers the reader sees go on without a gap.
    assert.deepEqual(reader.problems, [])
    assert.equal(ring.backlogBytes, 0)
  })

  for (const [title, idle] of [
    ['', {}],
    [', also when it looks by a timer', { idleMs: 1 }],
  ] as const) {
    it(`lets the event loop have its turn between bounded portions${title}`, async () => {
      using object = open()
      const reader = new Reader()
      produce(object, 10_000)
      using _ring = reader.open(object, { maxPerTurn: 2, ...idle })
      const turns: number[] = []
      while (reader.count < 10_000) {
        turns.push(reader.count)
        await nextTurn()
      }
      const portions = turns.map((count, i) => count - (turns[i - 1] ?? 0))
      // The first turn has the wake-up and the look after it; a timer may add one more.
      assert.ok(Math.max(...portions) <= 6, `portions of up to ${Math.max(...portions)}`)
      assert.ok(turns.length >= 4990, `${turns.length} turns for 5000 portions`)
      assert.deepEqual(reader.problems, [])
    })
  }

  it('that is full loses records at the program and gives room again when read', () => {
    using object = open()
    using map = object.map('state', codec(u32, state))
    const reader = new Reader()
    using ring = reader.open(object)
    produce(object, 20_000)
    const { written, lost } = map.lookup(0) ?? { written: 0, lost: 0 }
    assert.ok(lost > 0)
    assert.equal(written + lost, 20_000)
    assert.equal(ring.drain(), written)
    produce(object, 100)
    assert.equal(ring.drain(30), 30)
    assert.equal(ring.drain(), 70)
    assert.deepEqual(reader.problems, [])
  })

  it('passes over records that were given up', () => {
    using object = open()
    const reader = new Reader()
    using ring = reader.open(object)
    produce(object, 3)
    testRun(object.programFd('discard'), { data: packet, repeat: 4 })
    produce(object, 3)
    assert.equal(ring.drain(), 10)
    assert.deepEqual([reader.count, reader.problems], [6, []])
  })

  it('looks by a timer for records that wake nobody', async () => {
    using object = open()
    const reader = new Reader()
    using _ring = reader.open(object, { idleMs: 2 })
    await nextTurn() // the descriptor is watched from here on: what lay there before would count as a wake-up
    produce(object, 10, NO_WAKEUP)
    await until(
      () => reader.count === 10,
      () => `${reader.count} records`,
    )
  })

  it('looks by itself in a burst, goes back to waiting, and wakes again', async () => {
    using object = open()
    const reader = new Reader()
    const modes = new Set<string>()
    using ring = reader.open(object, { maxPerTurn: 50 }, () => modes.add(ring.mode))
    for (let i = 1; i <= 20; i++) {
      produce(object, 120)
      await until(
        () => reader.count === i * 121 - 1 && ring.mode === 'quiet',
        () => `${reader.count} of ${i * 121 - 1} records, ${ring.mode}`,
      )
      // Without idleMs nothing but a wake-up brings a single record.
      produce(object, 1)
      await until(
        () => reader.count === i * 121,
        () => `${reader.count} of ${i * 121} records, ${ring.mode}`,
      )
    }
    assert.deepEqual(modes, new Set(['quiet', 'busy']))
    assert.deepEqual(reader.problems, [])
  })

  it('is read on by the next reader where the last one stopped', () => {
    using object = open()
    const reader = new Reader()
    const first = reader.open(object)
    produce(object, 10)
    assert.equal(first.drain(4), 4)
    first[Symbol.dispose]()
    using second = reader.open(object)
    assert.equal(second.drain(), 6)
    assert.deepEqual([reader.count, reader.problems], [10, []])
  })

  it('may be closed by its own handler', async () => {
    using object = open()
    let count = 0
    const close = (): void => ring[Symbol.dispose]()
    const ring = new RingBuffer(object.mapFd('events'), {
      onRecord: () => {
        if (++count === 3) close()
      },
    })
    produce(object, 10)
    await until(
      () => count === 3,
      () => `${count} records`,
    )
    await nextTurn()
    assert.deepEqual([count, ring.drain(), ring.backlogBytes], [3, 0, 0])
  })

  it('reads on when its handler throws, which is nobody else’s error', async () => {
    const seen = JSON.parse(await runChild('throwing-handlers', ['ring', objects.path('ring')])) as object
    assert.deepEqual(seen, {
      told: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
      uncaught: ['record 1', 'record 4', 'record 5'],
      calls: 'all well',
    })
  })

  it('counts a record as read when its handler throws', () => {
    using object = open()
    const seen: bigint[] = []
    using ring = new RingBuffer(object.mapFd('events'), {
      onRecord: (view, at) => {
        seen.push(view.getBigUint64(at, true))
        if (seen.length === 2) throw new Error('second')
      },
    })
    produce(object, 4)
    assert.throws(() => ring.drain(), /second/)
    assert.equal(ring.drain(), 2)
    assert.deepEqual(seen, [0n, 1n, 2n, 3n])
  })
})

/** Checks that records are whole and their numbers without a gap. */
class Reader {
  count = 0
  readonly problems: string[] = []

  open(object: LoadedObject, options: Partial<RingBufferOptions> = {}, alsoTell = (): void => {}): RingBuffer {
    const onRecord: RingBufferOptions['onRecord'] = (...record) => {
      this.#take(...record)
      alsoTell()
    }
    return new RingBuffer(object.mapFd('events'), { onRecord, ...options })
  }

  #take(view: DataView, at: number, length: number): void {
    const number = view.getBigUint64(at, true)
    const whole = length === 16 && view.getBigUint64(at + 8, true) === BigInt.asUintN(64, ~number)
    if (!whole || number !== BigInt(this.count)) this.problems.push(`record ${number} at place ${this.count}`)
    this.count++
  }
}
