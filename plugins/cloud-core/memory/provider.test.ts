import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agenda } from '../simulate/agenda.ts'
import { MemoryAws } from './aws.ts'
import { NO_FAULTS } from './frontend.ts'
import { MemoryProvider } from './provider.ts'

const MACHINE = { node: 'a', id: 'i-a', type: 'm5.large', zone: 'z' }
const LIMITS = { nics: 2, slots: 9, lengths: { 4: [28, 32], 6: [] }, wholeWrites: false }
const NEVER = new AbortController().signal

function started() {
  const agenda = new Agenda()
  const cloud = new MemoryAws({
    timer: agenda,
    random: () => 0.5,
    subnets: [{ id: 's', zone: 'z', cidr: '10.0.0.0/24' }],
  })
  for (const id of ['i-a', 'i-other']) cloud.addMachine({ id, node: 'a', limits: LIMITS }, 's')
  const [nic] = cloud.nics.values()
  assert.ok(nic)
  return { agenda, cloud, nic, provider: new MemoryProvider(cloud) }
}

test('a call is answered with what the cloud gave, after its time', async () => {
  const { agenda, nic, provider } = started()
  const asked = provider.call(MACHINE, { kind: 'assign', nic: nic.id, family: 4, length: 28, count: 1 }, NEVER)
  assert.equal(agenda.run(399), 1)
  agenda.run(400)
  assert.deepEqual(
    (await asked).nics.map(({ blocks }) => blocks),
    [['10.0.0.16/28']],
  )
})

test('what the cloud refuses is a CloudFailure of its kind', async () => {
  const { agenda, provider } = started()
  const asked = provider.call(MACHINE, { kind: 'delete', nic: 'eni-none' }, NEVER)
  agenda.run(1000)
  await assert.rejects(asked, { code: 'CLOUD_FAILURE', kind: 'gone', message: /eni-none/ })
  await assert.rejects(provider.limits({ ...MACHINE, id: 'i-none' }, NEVER), { kind: 'gone' })
  assert.equal(await provider.limits(MACHINE, NEVER), LIMITS)
})

test('a call that is given up is ambiguous, one that was given up before is not made', async () => {
  const { agenda, cloud, nic, provider } = started()
  const controller = new AbortController()
  const call = { kind: 'assign', nic: nic.id, family: 4, length: 32, count: 1 } as const
  const asked = provider.call(MACHINE, call, controller.signal)
  controller.abort()
  await assert.rejects(asked, { kind: 'ambiguous' })
  await assert.rejects(provider.call(MACHINE, call, controller.signal), { kind: 'unreachable' })
  agenda.run(1000)
  assert.equal(cloud.nics.get(nic.id)?.blocks.length, 1)
  assert.equal(cloud.tallies.get('AssignPrivateIpAddresses')?.calls, 1)
})

test('a sweep shows the interfaces of the machines that it names and those that are tagged', async () => {
  const { agenda, cloud, provider } = started()
  const made = provider.call(MACHINE, { kind: 'create', token: 't', subnet: 's', length: 32, count: 1 }, NEVER)
  agenda.run(1000)
  await made
  const swept = provider.sweep([MACHINE], NEVER)
  agenda.run(2000)
  assert.deepEqual(
    (await swept).nics.map(({ machine, token }) => [machine, token]),
    [
      ['i-a', ''],
      ['', 't'],
    ],
  )
  cloud.faults = { ...NO_FAULTS, throttled: 1 }
  const refused = provider.sweep([MACHINE], NEVER)
  agenda.run(3000)
  await assert.rejects(refused, { kind: 'throttled' })
})

test('an interface is attached to machines of its zone alone', async () => {
  const agenda = new Agenda()
  const subnets = ['y', 'z'].map((zone, n) => ({ id: zone, zone, cidr: `10.0.${n}.0/24` }))
  const cloud = new MemoryAws({ timer: agenda, random: () => 0, subnets })
  cloud.addMachine({ id: 'i-a', node: 'a', limits: LIMITS, address: '10.0.1.9' }, 'z')
  assert.deepEqual(
    [...cloud.nics.values()].flatMap(({ addresses }) => addresses),
    ['10.0.1.9'],
  )
  const provider = new MemoryProvider(cloud)
  const attached = async (subnet: string): Promise<unknown> => {
    const made = provider.call(MACHINE, { kind: 'create', token: subnet, subnet, length: 32, count: 0 }, NEVER)
    agenda.run(agenda.now() + 1000)
    const nic = (await made).nics[0]?.id ?? ''
    const asked = provider.call(MACHINE, { kind: 'attach', nic, index: 1, token: subnet }, NEVER)
    agenda.run(agenda.now() + 2000)
    return await asked
  }
  await assert.rejects(attached('y'), { kind: 'invalid', message: /different zones/ })
  await attached('z')
})
