import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { SystemError } from '../errors.ts'
import { bytes, codec, perCpu, u32, u64 } from './layout.ts'
import { newMap } from './map.ts'
import { possibleCpus } from './map-info.ts'
import { loadObject, loadObjectAsync, readObject } from './object.ts'
import { readObjectFile } from './object-file.ts'
import { LoadError, MapMismatch, ObjectError, VerifierError } from './object-errors.ts'
import { programInfo } from './program.ts'
import { readSkbContext, skbContext, testRun, xdpContext } from './test-run.ts'
import { compileTestdata, type Objects } from './testdata/compile.ts'

const packet = new Uint8Array(64).fill(0xab)
const pair = codec(u32, bytes(8))

describe('an object file', () => {
  let objects: Objects
  before(async () => {
    objects = await compileTestdata('maps', 'refused')
  })
  after(() => objects[Symbol.dispose]())

  it('is described without being loaded', () => {
    const contents = readObject(objects.path('maps'))
    assert.ok(contents.programs.some(({ name, section }) => name === 'refuse' && section === 'cgroup/connect4'))
    assert.deepEqual(
      contents.maps.find(map => map.name === 'pairs'),
      { name: 'pairs', maxEntries: 16, type: 'hash', keySize: 4, valueSize: 8, flags: 1 },
    )
    assert.deepEqual(
      contents.constants.map(({ name, size }) => `${name} ${size}`),
      ['answer 4', 'negative 2', 'enabled 1', 'large 8', 'mac 6'],
    )
  })

  it('keeps the constants of its source when none are set', () => {
    using object = loadObject(objects.path('maps'))
    assert.equal(testRun(object.programFd('constants'), { data: packet }).retval, 40)
  })

  it('is loaded with constants of every size and sign', () => {
    const mac = new Uint8Array([0, 0, 0, 0, 0, 9])
    const constants = { answer: 100, negative: -2, enabled: true, large: 5n << 32n, mac }
    using object = loadObject(objects.path('maps'), { constants })
    assert.equal(testRun(object.programFd('constants'), { data: packet }).retval, 100 - 2 + 1000 + 5 + 9)
  })

  it('tells what each program cost the verifier, when asked', async () => {
    const only = ['constants', 'pass']
    for (const object of [
      loadObject(objects.path('maps'), { only, statistics: true }),
      await loadObjectAsync(objects.path('maps'), { only, statistics: true }),
    ]) {
      using loaded = object
      assert.deepEqual([...loaded.statistics.keys()].sort(), only)
      const { instructions = 0, stackBytes = -1 } = loaded.statistics.get('constants') ?? {}
      assert.ok(instructions > 2 && instructions < 1000 && stackBytes >= 0 && stackBytes <= 512)
    }
    using silent = loadObject(objects.path('maps'), { only })
    assert.equal(silent.statistics.size, 0)
  })

  it('names the program that is refused also when statistics were asked for', () => {
    const refused = (): unknown => loadObject(objects.path('refused'), { statistics: true })
    assert.throws(refused, error => error instanceof VerifierError && error.program === 'out_of_bounds')
  })

  const misfits = [
    [{ constants: { nothing: 1 } }, /has no constant nothing; it has answer, negative/],
    [{ constants: { answer: -1 } }, /constant answer: -1 is no unsigned integer of 4 bytes/],
    [{ constants: { negative: 40_000 } }, /constant negative: 40000 is no signed integer of 2 bytes/],
    [{ constants: { answer: 0.5 } }, /constant answer: 0.5 is no unsigned/],
    [{ constants: { mac: new Uint8Array(5) } }, /constant mac: has 6 bytes, not 5/],
    [{ constants: { mac: 5 } }, /constant mac: is no number but 6 bytes/],
    [{ only: ['nothing'] }, /has no program nothing; it has constants/],
    [{ programs: { nothing: {} } }, /has no program nothing/],
    [{ maps: { nothing: {} } }, /has no map nothing; it has pairs/],
  ] as const
  for (const [options, message] of misfits) {
    it(`is refused before loading with ${Object.keys(options)[0]} that do not fit: ${message.source}`, () => {
      assert.throws(
        () => loadObject(objects.path('maps'), options),
        (error: unknown) => error instanceof ObjectError && message.test(error.message),
      )
    })
  }

  it('is loaded as it was read, though the file was replaced since', () => {
    const path = objects.path('replaced')
    copyFileSync(objects.path('maps'), path)
    const file = readObjectFile(path)
    copyFileSync(objects.path('refused'), path)
    assert.ok(readObject(file).programs.some(({ name }) => name === 'constants'))
    using object = loadObject(file, { constants: { answer: 7 } })
    assert.equal(testRun(object.programFd('constants'), { data: packet }).retval, 6)
  })

  it('that is not there says so', () => {
    assert.throws(
      () => loadObject('/nowhere.o'),
      (error: unknown) => error instanceof LoadError && error.code === 'ENOENT',
    )
  })

  it('with a program the verifier refuses names the program and shows the end of the log', () => {
    assert.throws(
      () => loadObject(objects.path('refused')),
      (error: unknown) => {
        assert.ok(error instanceof VerifierError)
        assert.deepEqual([error.program, error.code], ['out_of_bounds', 'EACCES'])
        assert.match(
          error.message,
          /verifying program out_of_bounds of .*refused\.o: EACCES\n[^]*invalid access to packet/,
        )
        assert.match(error.log, /processed \d+ insns/)
        return true
      },
    )
    using fine = loadObject(objects.path('refused'), { only: ['fine'] })
    assert.deepEqual([...fine.programs.keys()], ['fine'])
  })

  it('that the kernel refuses without a log tells what libbpf said', () => {
    // A tc program loaded as one that asks for an attach type.
    const options = { only: ['pass'], programs: { pass: { type: 'cgroup-sock-addr' } } } as const
    assert.throws(() => loadObject(objects.path('maps'), options), { code: 'EINVAL' })
  })

  it('takes the programs’ types where their section says nothing', () => {
    using object = loadObject(objects.path('maps'), {
      only: ['refuse'],
      programs: { refuse: { type: 'cgroup-sock-addr', attach: 'connect6' } },
    })
    assert.equal(programInfo(object.programFd('refuse')).type, 'cgroup-sock-addr')
  })

  it('leaves out programs and maps that are not wanted', () => {
    using object = loadObject(objects.path('maps'), { only: ['pass'], maps: { calls: { create: false } } })
    assert.deepEqual([...object.programs.keys()], ['pass'])
    assert.equal(object.maps.has('calls'), false)
    assert.throws(() => object.programFd('drop'), ObjectError)
  })

  it('sizes its maps as told', () => {
    using object = loadObject(objects.path('maps'), { maps: { pairs: { maxEntries: 5 } } })
    using map = object.map('pairs', pair)
    assert.equal(map.maxEntries, 5)
  })

  it('works on an existing map, whatever that one’s size', () => {
    const spec = { type: 'hash', name: 'pairs', keySize: 4, valueSize: 8, maxEntries: 99, flags: 1 } as const
    using existing = newMap(spec, pair)
    using object = loadObject(objects.path('maps'), { maps: { pairs: { reuseFd: existing.fd } } })
    testRun(object.programFd('remember'), { data: packet, context: skbContext({ mark: 4 }) })
    assert.deepEqual(existing.lookup(0), new Uint8Array([4, 0, 0, 0, 64, 0, 0, 0]))
    using seen = object.map('pairs', pair)
    assert.equal(seen.info.id, existing.info.id)
  })

  it('refuses an existing map of another shape', () => {
    const spec = { type: 'hash', name: 'pairs', keySize: 4, valueSize: 12, maxEntries: 99, flags: 1 } as const
    using existing = newMap(spec, codec(u32, bytes(12)))
    assert.throws(
      () => loadObject(objects.path('maps'), { maps: { pairs: { reuseFd: existing.fd } } }),
      (error: unknown) =>
        error instanceof MapMismatch &&
        error.wanted.valueSize === 8 &&
        error.found.valueSize === 12 &&
        error.map === 'pairs',
    )
  })

  it('outlives nothing of the library: maps taken from it work after it was disposed', () => {
    const object = loadObject(objects.path('maps'))
    using counters = object.map('counters', codec(u32, perCpu(u64, possibleCpus())))
    testRun(object.programFd('remember'), { data: packet, repeat: 10 })
    object[Symbol.dispose]()
    object[Symbol.dispose]()
    assert.equal(
      counters.lookup(0)?.reduce((sum, n) => sum + n, 0n),
      10n,
    )
  })
})

describe('an object loaded on a thread', () => {
  let objects: Objects
  before(async () => {
    objects = await compileTestdata('maps', 'refused', 'slow')
  })
  after(() => objects[Symbol.dispose]())

  it('leaves the event loop to others while it is verified', async () => {
    let turns = 0
    let going = true
    const turn = (): void => {
      turns++
      if (going) setTimeout(turn, 1)
    }
    turn()
    const started = performance.now()
    using object = await loadObjectAsync(objects.path('slow'))
    going = false
    const tookMs = performance.now() - started
    assert.ok(object.programs.has('slow'))
    assert.ok(turns > tookMs / 20, `${turns} turns of the loop in ${tookMs} ms`)
  })

  it('shares maps that were made before with others loaded at the same time', async () => {
    using maps = loadObject(objects.path('maps'), { only: [] })
    assert.deepEqual([maps.programs.size, maps.maps.has('pairs')], [0, true])
    const reuse = { maps: { pairs: { reuseFd: maps.mapFd('pairs') } } }
    const together = await Promise.all([1, 2, 3].map(() => loadObjectAsync(objects.path('maps'), reuse)))
    using pairs = maps.map('pairs', pair)
    for (const [i, object] of together.entries()) {
      testRun(object.programFd('remember'), { data: packet, context: skbContext({ mark: i }) })
      assert.equal(pairs.lookup(0)?.[0], i)
      object[Symbol.dispose]()
    }
  })

  it('fails as one loaded at once does', async () => {
    const refused = await rejection(loadObjectAsync(objects.path('refused')))
    assert.ok(refused instanceof VerifierError)
    assert.deepEqual([refused.program, refused.code], ['out_of_bounds', 'EACCES'])
    const options = { only: ['pass'], programs: { pass: { type: 'cgroup-sock-addr' } } } as const
    const other = await rejection(loadObjectAsync(objects.path('maps'), options))
    assert.ok(other instanceof SystemError && other.code === 'EINVAL')
    assert.ok((await rejection(loadObjectAsync('/nowhere.o'))) instanceof LoadError)
  })
})

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => assert.fail('it did not fail'),
    (error: unknown) => error,
  )
}

describe('a test run', () => {
  let objects: Objects
  before(async () => {
    objects = await compileTestdata('maps')
  })
  after(() => objects[Symbol.dispose]())

  it('gives back verdict, packet, context and mean duration', () => {
    using object = loadObject(objects.path('maps'))
    const run = testRun(object.programFd('remember'), { data: packet, context: skbContext({ mark: 21 }) })
    assert.deepEqual([run.retval, run.data.length, readSkbContext(run.context).mark], [0, 68, 42])
    assert.deepEqual(run.data.subarray(0, 64), packet)
    const many = testRun(object.programFd('pass'), { data: packet, repeat: 100_000 })
    assert.ok(many.durationNs < 10_000, `${many.durationNs} ns a run`)
  })

  it('shows negative verdicts as such', () => {
    using object = loadObject(objects.path('maps'))
    assert.equal(testRun(object.programFd('go_on'), { data: packet }).retval, -1)
  })

  it('gives an XDP program its device', () => {
    using object = loadObject(objects.path('maps'))
    const run = testRun(object.programFd('bounce'), { data: packet, context: xdpContext(64, 1) })
    assert.deepEqual([run.retval, run.data], [3, packet])
  })

  it('follows tail calls into programs put into a program array', () => {
    using object = loadObject(objects.path('maps'))
    using calls = object.map('calls', codec(u32, u32))
    assert.equal(testRun(object.programFd('tail'), { data: packet }).retval, 7)
    calls.update(1, object.programFd('drop'))
    assert.equal(testRun(object.programFd('tail'), { data: packet }).retval, 2)
  })

  it('of a packet that outgrows its room is an error that names the program’s descriptor', () => {
    using object = loadObject(objects.path('maps'))
    const fd = object.programFd('remember')
    assert.throws(() => testRun(fd, { data: packet, growth: 0 }), {
      code: 'ENOSPC',
      object: `program at descriptor ${fd}`,
    })
  })
})

describe('information about a program', () => {
  it('tells name, type, tag and sizes', async () => {
    using objects = await compileTestdata('maps')
    using first = loadObject(objects.path('maps'), { only: ['remember'] })
    using second = loadObject(objects.path('maps'), { only: ['remember'] })
    const [a, b] = [first, second].map(object => programInfo(object.programFd('remember')))
    assert.ok(a && b)
    assert.deepEqual([a.name, a.type], ['remember', 'sched-cls'])
    assert.match(a.tag, /^[0-9a-f]{16}$/)
    assert.equal(a.tag, b.tag)
    assert.ok(a.verifiedInstructions > 0 && a.jitedSize > 0)
    assert.notEqual(a.id, b.id)
  })
})
