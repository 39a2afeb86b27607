import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Failure, Reply, WriteCall } from '../model.ts'
import { Agenda } from '../simulate/agenda.ts'
import { randomOf } from '../simulate/random.ts'
import { MemoryAzure } from './azure.ts'
import { NO_FAULTS } from './frontend.ts'
import { MemoryGcp } from './gcp.ts'

const CLOUDS = [
  { name: 'azure', Cloud: MemoryAzure, slots: 255, busy: 'AnotherOperationInProgress', stale: 'PreconditionFailed' },
  { name: 'gcp', Cloud: MemoryGcp, slots: 150, busy: 'resourceNotReady', stale: 'conditionNotMet' },
] as const

function started(Cloud: typeof MemoryAzure | typeof MemoryGcp, cidr = '10.0.0.0/22') {
  const agenda = new Agenda()
  const subnets = [{ id: 's', zone: 'z', cidr, secondary: '10.9.0.0/22' }]
  const cloud = new Cloud({ timer: agenda, random: randomOf(1), subnets })
  cloud.addMachine(
    { id: 'm', node: 'a', limits: { nics: 1, slots: 999, lengths: { 4: [28, 32], 6: [] }, wholeWrites: true } },
    's',
  )
  const nic = [...cloud.nics.keys()][0] ?? ''
  const answers: string[] = []
  const write = (add: number, length: number, ...remove: readonly string[]): void => {
    const added = add === 0 ? [] : [{ nic, family: 4 as const, length, count: add }]
    const call: WriteCall = { kind: 'write', add: added, remove: remove.map(block => ({ nic, block })) }
    cloud.call('m', call, (answer: Reply | Failure) => {
      answers.push('nics' in answer ? 'done' : `${answer.kind} ${answer.message.split(':').at(-2)?.trim() ?? ''}`)
    })
  }
  const after = (ms: number): string[] => {
    agenda.run(agenda.now() + ms)
    return answers.splice(0)
  }
  return { cloud, write, after, blocks: () => cloud.nics.get(nic)?.blocks ?? [] }
}

for (const { name, Cloud, slots, busy, stale } of CLOUDS) {
  test(`${name} adds and takes away in one write, all of it or nothing`, () => {
    const { write, after, blocks } = started(Cloud)
    write(2, 28)
    assert.deepEqual(after(5000), ['done'])
    const [first = '', second] = blocks()
    write(1, 32, first, '10.1.1.1/32')
    assert.deepEqual(after(5000), ['done'])
    assert.deepEqual([blocks()[0], blocks().length, blocks().includes(first)], [second, 2, false])
    write(slots, 32, second ?? '')
    assert.match(after(5000)[0] ?? '', /^limit/)
    assert.equal(blocks()[0], second)
    write(slots - 1, 32, second ?? '')
    assert.deepEqual(after(5000), ['done'])
  })

  test(`${name} takes one write of a machine at a time`, () => {
    const { cloud, write, after } = started(Cloud)
    write(1, 32)
    write(1, 32)
    assert.deepEqual(after(10_000).sort(), [`conflict ${busy}`, 'done'])
    assert.equal(cloud.overlapping, 1)
  })

  test(`${name} refuses a write of what has been written since it was read`, () => {
    const { write, after, blocks } = started(Cloud)
    write(1, 32)
    after(name === 'azure' ? 2000 : 1500)
    write(1, 32)
    assert.deepEqual(after(10_000), ['done', `conflict ${stale}`])
    assert.equal(blocks().length, 1)
  })

  test(`${name} carries out a write that it has taken, whatever it answered, before it takes another one`, () => {
    const { cloud, write, after, blocks } = started(Cloud)
    cloud.faults = { ...NO_FAULTS, late: 1, lateMs: 30_000 }
    write(1, 32)
    assert.match(after(5000)[0] ?? '', /^ambiguous/)
    cloud.faults = NO_FAULTS
    assert.equal(blocks().length, 0)
    write(1, 32)
    assert.deepEqual(after(40_000), [`conflict ${busy}`])
    assert.equal(blocks().length, 1)
  })

  test(`${name} has no calls of single changes`, () => {
    const { cloud, after } = started(Cloud)
    let kind = ''
    cloud.call('m', { kind: 'protect', nic: '' }, answer => {
      kind = 'kind' in answer ? answer.kind : 'done'
    })
    after(1000)
    assert.equal(kind, 'invalid')
  })
}

test('blocks of Google come out of the secondary range, none of whose addresses is kept', () => {
  const { write, after, blocks } = started(MemoryGcp)
  write(1, 24)
  after(5000)
  assert.deepEqual(blocks(), ['10.9.0.0/24'])
})

test('a machine that ends takes its interfaces with it', () => {
  const { cloud, write, after } = started(MemoryAzure)
  write(1, 32)
  cloud.removeMachine('m')
  assert.match(after(10_000)[0] ?? '', /^gone/)
  assert.equal(cloud.nics.size, 0)
})
