import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call, Failure, NicId, Reply } from '../model.ts'
import { Agenda } from '../simulate/agenda.ts'
import { randomOf } from '../simulate/random.ts'
import { MemoryAws } from './aws.ts'
import type { MemoryCloudOptions } from './cloud.ts'
import { NO_FAULTS } from './frontend.ts'

const LIMITS = { nics: 2, slots: 3, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false }
const SUBNET = { id: 's', zone: 'z', cidr: '10.0.0.0/26', cidr6: 'fd00::/56' }

class Ec2 {
  readonly agenda = new Agenda()
  readonly cloud: MemoryAws
  readonly first: NicId
  readonly devices: string[] = []

  constructor(options: Partial<MemoryCloudOptions> = {}) {
    this.cloud = new MemoryAws({ timer: this.agenda, random: randomOf(1), subnets: [SUBNET], ...options })
    this.cloud.onDevice = (_machine, { id }, there) => this.devices.push(`${there ? '+' : '-'}${id}`)
    this.cloud.addMachine({ id: 'i-a', node: 'a', limits: LIMITS }, 's')
    this.first = [...this.cloud.nics.keys()][0] ?? ''
  }

  /** The answer, in time. */
  call(call: Call, ms = 5000): Reply | Failure | undefined {
    let answer: Reply | Failure | undefined
    this.cloud.call('i-a', call, told => {
      answer = told
    })
    this.agenda.run(this.agenda.now() + ms)
    return answer
  }
  /** What was refused, as EC2 names it. */
  refused(call: Call): string {
    const answer = this.call(call)
    return answer !== undefined && 'kind' in answer ? `${answer.kind} ${answer.message.split(':')[0]}` : 'done'
  }
  assign(count: number, length: number, family: 4 | 6 = 4): string {
    return this.refused({ kind: 'assign', nic: this.first, family, length, count })
  }
  create(token: string, count = 1): string {
    const answer = this.call({ kind: 'create', token, subnet: 's', length: 28, count })
    return answer !== undefined && 'nics' in answer ? (answer.nics[0]?.id ?? '') : `${answer?.message}`
  }
  get blocks(): readonly string[] {
    return this.cloud.nics.get(this.first)?.blocks ?? []
  }
}

test('prefixes are aligned, none has one of the addresses that the cloud keeps, and all are given or none', () => {
  const ec2 = new Ec2({ random: () => 0 })
  assert.equal(ec2.assign(3, 28), 'fragmented s has no free /28')
  assert.deepEqual(ec2.blocks, [])
  assert.equal(ec2.assign(2, 28), 'done')
  assert.deepEqual(ec2.blocks, ['10.0.0.16/28', '10.0.0.32/28'])
  assert.equal(ec2.assign(1, 32), 'done')
  assert.deepEqual(ec2.blocks.at(-1), '10.0.0.5/32')
  assert.equal(ec2.assign(1, 80, 6), 'done')
  assert.equal(ec2.assign(1, 32), `limit PrivateIpAddressLimitExceeded`)
  assert.equal(ec2.cloud.single('s'), 64 - 5 - 1 - 33)
})

test('addresses that are reserved are given only as what they are reserved for', () => {
  const reservations = [
    { cidr: '10.0.0.16/28', kind: 'explicit' },
    { cidr: '10.0.0.32/28', kind: 'prefix' },
  ] as const
  const ec2 = new Ec2({ subnets: [{ ...SUBNET, reservations }] })
  assert.equal(ec2.cloud.single('s'), 64 - 5 - 32 - 1)
  assert.equal(ec2.assign(1, 28), 'done')
  assert.deepEqual(ec2.blocks, ['10.0.0.32/28'])
  assert.equal(ec2.assign(1, 28), 'fragmented s has no free /28')
})

test('the same token gives the same interface, with other wishes it is refused', () => {
  const ec2 = new Ec2()
  const id = ec2.create('t')
  assert.equal(ec2.create('t'), id)
  assert.equal(ec2.create('t', 2), 'IdempotentParameterMismatch')
  assert.equal(ec2.cloud.nics.size, 2)
  ec2.call({ kind: 'delete', nic: id })
  assert.match(ec2.create('t'), /is not there/)
})

test('an interface comes and goes in its time', () => {
  const ec2 = new Ec2()
  const nic = ec2.create('t')
  const status = () => ec2.cloud.nics.get(nic)?.status
  ec2.call({ kind: 'attach', nic, index: 1, token: 't' }, 1000)
  assert.deepEqual([status(), ec2.devices], ['attaching', []])
  assert.equal(ec2.refused({ kind: 'detach', nic }), 'conflict IncorrectState')
  assert.deepEqual(
    [status(), ec2.devices, ec2.cloud.nics.get(nic)?.deletedWithMachine],
    ['attached', [`+${nic}`], false],
  )
  ec2.call({ kind: 'protect', nic })
  assert.equal(ec2.cloud.nics.get(nic)?.deletedWithMachine, true)
  ec2.call({ kind: 'detach', nic }, 1000)
  assert.deepEqual([status(), ec2.devices.at(-1)], ['detaching', `-${nic}`])
  assert.equal(ec2.refused({ kind: 'delete', nic }), 'conflict InvalidParameterValue')
  assert.deepEqual([status(), ec2.cloud.nics.get(nic)?.machine], ['available', ''])
  assert.equal(ec2.refused({ kind: 'delete', nic }), 'done')
  assert.equal(status(), undefined)
})

test('a machine takes so many interfaces, each at an index of its own, with those of others', () => {
  const ec2 = new Ec2()
  const nic = ec2.create('t')
  assert.equal(ec2.refused({ kind: 'attach', nic, index: 0, token: 't' }), 'conflict InvalidParameterValue')
  assert.ok(ec2.cloud.attachForeign('i-a', 's') && !ec2.cloud.attachForeign('i-a', 's'))
  assert.equal(ec2.refused({ kind: 'attach', nic, index: 2, token: 't' }), 'limit AttachmentLimitExceeded')
})

test('a machine that ends takes with it what is to be deleted with it, and leaves the rest', () => {
  const ec2 = new Ec2()
  const nic = ec2.create('t')
  ec2.call({ kind: 'attach', nic, index: 1, token: 't' })
  ec2.cloud.removeMachine('i-a')
  assert.deepEqual(
    [...ec2.cloud.nics.values()].map(({ id, status, node }) => [id, status, node]),
    [[nic, 'available', 'a']],
  )
  assert.equal(ec2.refused({ kind: 'observe' }), 'gone i-a is not there')
  assert.notEqual(ec2.create('late'), '')
})

test('looks show what was, not longer ago than they may', () => {
  const ec2 = new Ec2({ staleMs: 2000 })
  ec2.agenda.run(10_000)
  const seen = new Set<number>()
  const look = () =>
    ec2.cloud.call('i-a', { kind: 'observe' }, answer => {
      if ('nics' in answer) seen.add(answer.nics[0]?.blocks.length ?? -1)
    })
  ec2.call({ kind: 'assign', nic: ec2.first, family: 4, length: 32, count: 2 }, 400)
  ec2.agenda.run(ec2.agenda.now() + 700)
  for (let n = 0; n < 20; n++) look()
  ec2.agenda.run(ec2.agenda.now() + 1200)
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    [0, 2],
  )
  seen.clear()
  for (let n = 0; n < 20; n++) look()
  ec2.agenda.run(ec2.agenda.now() + 1000)
  assert.deepEqual([...seen], [2])
})

test('calls go wrong as they are told to, and count against the budget', () => {
  const ec2 = new Ec2({ rate: { burst: 4, perSecond: 0.001 } })
  const faulty = (fault: 'refused' | 'lost' | 'late' | 'throttled' | 'denied') => {
    ec2.cloud.faults = { ...NO_FAULTS, [fault]: 1, lateMs: 3000 }
    const before = ec2.blocks.length
    const answer = ec2.call({ kind: 'assign', nic: ec2.first, family: 4, length: 32, count: 1 }, 400)
    const at = ec2.blocks.length - before
    ec2.agenda.run(ec2.agenda.now() + 5000)
    return [answer !== undefined && 'kind' in answer && answer.kind, at, ec2.blocks.length - before]
  }
  assert.deepEqual(faulty('refused'), ['unreachable', 0, 0])
  assert.deepEqual(faulty('lost'), ['ambiguous', 1, 1])
  assert.deepEqual(faulty('late'), ['ambiguous', 0, 1])
  assert.deepEqual(faulty('denied'), ['denied', 0, 0])
  assert.deepEqual(faulty('lost'), ['throttled', 0, 0])
  assert.deepEqual(ec2.cloud.tallies.get('AssignPrivateIpAddresses'), { calls: 5, throttled: 1, injected: 0 })
})
