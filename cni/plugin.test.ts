/** What the program decides when time passes or the daemon comes and goes, on a clock of the test's own. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { FakeHost } from './fake-host.ts'
import type { Exchange } from './host.ts'
import { run } from './plugin.ts'

const absent: Exchange = { problem: 'ECONNREFUSED', stage: 'connect' }
const hung: Exchange = { problem: 'ETIMEDOUT', stage: 'receive' }
const done: Exchange = { status: 200, text: '{}' }
const entry = '/run/causeway/deletes/00000000000001000000-42.json'
const queued = [
  'mkdir /run/causeway',
  'mkdir /run/causeway/deletes',
  'lock /run/causeway/deletes',
  `write ${entry} by .00000000000001000000-42.tmp`,
]

function host(verb: string, conf: object = {}): FakeHost {
  const fake = new FakeHost()
  Object.assign(fake.env, {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: 'c',
    CNI_IFNAME: 'eth0',
    CNI_NETNS: '/n',
    CNI_PATH: '/',
  })
  const extra = verb === 'GC' ? { 'cni.dev/valid-attachments': [] } : verb === 'CHECK' ? { prevResult: {} } : {}
  const text = JSON.stringify({ cniVersion: '1.1.0', name: 'net', type: 'causeway', ...extra, ...conf })
  fake.stdin = { text }
  return fake
}

/** The effects without reading the input, which every call begins with. */
function effects(fake: FakeHost): string[] {
  return fake.log.filter(line => !line.startsWith('input'))
}

suite('ADD', () => {
  test('asks again with growing pauses until the daemon is there, telling it what is left', () => {
    const fake = host('ADD')
    const deadlines: unknown[] = []
    fake.daemon = call => {
      deadlines.push(call.body.deadlineMs)
      return call.count < 9 ? absent : done
    }
    assert.equal(fake.run(run).status, 0)
    const pauses = fake.log.filter(line => line.startsWith('sleep')).map(line => Number(line.split(' ')[1]))
    assert.deepEqual(pauses, [5, 10, 20, 40, 80, 160, 250, 250])
    assert.deepEqual(deadlines.slice(0, 3), [58_000, 57_995, 57_985])
    assert.equal(deadlines.at(-1), 58_000 - 815)
  })

  test('never waits beyond addTimeoutMs', () => {
    const fake = host('ADD', { addTimeoutMs: 3000 })
    fake.daemon = () => absent
    const { status, stdout } = fake.run(run)
    assert.deepEqual([status, JSON.parse(stdout).code], [1, 11])
    assert.ok(fake.nowMs > 2700 && fake.nowMs <= 3000, `${fake.nowMs}`)
  })

  test('leaves the daemon half of what is left when that is under 4 s', () => {
    const fake = host('ADD', { addTimeoutMs: 1000 })
    let deadlineMs: unknown
    fake.daemon = call => {
      deadlineMs = call.body.deadlineMs
      return done
    }
    fake.run(run)
    assert.equal(deadlineMs, 500)
  })

  for (const problem of ['EACCES', 'ENOTDIR', 'EPROTOTYPE']) {
    test(`does not wait for what waiting cannot mend: ${problem} is code 5`, () => {
      const fake = host('ADD')
      fake.daemon = () => ({ problem, stage: 'connect' })
      assert.equal(JSON.parse(fake.run(run).stdout).code, 5)
      assert.equal(effects(fake).length, 1)
    })
  }
})

suite('DEL', () => {
  test('without a daemon is queued, and tries once more in case one came meanwhile', () => {
    const fake = host('DEL')
    fake.daemon = () => absent
    assert.deepEqual(fake.run(run), { status: 0, stdout: '', stderr: '' })
    const ask = 'ask /v1/cni/del within 30000'
    assert.deepEqual(effects(fake), [ask, ...queued, ask])
  })

  test('takes its entry back when the daemon came meanwhile', () => {
    const fake = host('DEL')
    fake.daemon = call => (call.count === 1 ? absent : done)
    assert.equal(fake.run(run).status, 0)
    assert.equal(effects(fake).at(-1), `remove ${entry}`)
    assert.ok(!fake.files.has(entry))
  })

  test('leaves the entry when the daemon that came meanwhile refuses', () => {
    const fake = host('DEL')
    fake.daemon = call => (call.count === 1 ? absent : { status: 503, text: '{"code":11,"msg":"starting"}' })
    assert.deepEqual(fake.run(run), { status: 0, stdout: '', stderr: '' })
    assert.ok(fake.files.has(entry))
  })

  test('that a hung daemon does not answer is queued after 30 s', () => {
    const fake = host('DEL')
    fake.daemon = () => hung
    assert.equal(fake.run(run).status, 0)
    assert.equal(fake.nowMs, 30_000)
    assert.deepEqual(effects(fake), ['ask /v1/cni/del within 30000', ...queued])
  })

  test('fails when a present daemon refuses it', () => {
    const fake = host('DEL')
    fake.daemon = () => ({ status: 500, text: '{"code":110,"msg":"cannot delete the device"}' })
    assert.equal(JSON.parse(fake.run(run).stdout).code, 110)
    assert.deepEqual(effects(fake), ['ask /v1/cni/del within 30000'])
  })
})

suite('a hung daemon', () => {
  for (const [verb, waitsMs, code] of [
    ['CHECK', 30_000, 11],
    ['GC', 60_000, 11],
    ['STATUS', 5_000, 50],
  ] as const) {
    test(`${verb} ends after ${waitsMs} ms with code ${code}`, () => {
      const fake = host(verb)
      fake.daemon = () => hung
      assert.equal(JSON.parse(fake.run(run).stdout).code, code)
      assert.equal(fake.nowMs, waitsMs)
    })
  }
})

suite('standard input', () => {
  const cases: readonly (readonly [problem: string, code: number, msg: string])[] = [
    ['ETIMEDOUT', 5, 'standard input: did not end within 10000 ms'],
    ['EFBIG', 5, 'standard input: is larger than 4194304 bytes'],
    ['EIO', 5, 'standard input: cannot be read: EIO'],
    ['EILSEQ', 6, 'standard input: is not UTF-8 text'],
  ]
  for (const [problem, code, msg] of cases) {
    test(`${problem} is code ${code}`, () => {
      const fake = host('ADD')
      fake.stdin = { problem }
      assert.deepEqual(JSON.parse(fake.run(run).stdout), { cniVersion: '1.1.0', code, msg })
    })
  }

  test('is not waited for at a terminal, nor when no verb was given', () => {
    const fake = new FakeHost()
    fake.terminal = true
    assert.equal(fake.run(run).status, 1)
    assert.match(fake.written[2], /CNI plugin/)
    fake.terminal = false
    assert.equal(JSON.parse(fake.run(run).stdout).code, 4)
    assert.deepEqual(fake.log, [])
  })
})

test('an error nobody foresaw is code 100 with its text', () => {
  const fake = host('STATUS')
  fake.daemon = () => {
    throw new TypeError('unforeseen')
  }
  const want = {
    cniVersion: '1.1.0',
    code: 100,
    msg: 'internal error of the CNI executable',
    details: 'TypeError: unforeseen',
  }
  assert.deepEqual(JSON.parse(fake.run(run).stdout), want)
})
