/** The lab's EC2 as the project's own provider meets it, with the real SDK. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { MemoryAws } from '../../../plugins/cloud-core/memory/aws.ts'
import { AwsProvider } from '../../../plugins/aws-eni/provider.ts'
import { systemClock } from '../../../daemon/state/clock.ts'
import { CREDENTIALS } from './configuration.ts'
import { Ec2, LIMITS } from './ec2.ts'
import { ec2Server } from './server.ts'
import { MACHINE_TYPE, POD_SUBNETS, SUBNETS } from './vpc.ts'

const QUICK = { assign: 1, release: 1, create: 1, attach: 1, protect: 1, detach: 1, delete: 1, observe: 1, sweep: 1 }
const MACHINE = { node: 'n1', id: 'i-01', type: MACHINE_TYPE, zone: 'eu-west-1a' }
const CLASS = { name: '', roleArn: '', externalId: '', subnets: { ids: [], tags: POD_SUBNETS } }
const signal = AbortSignal.timeout(60_000)

async function started() {
  for (const assignment of CREDENTIALS) {
    const [name = '', value = ''] = assignment.split('=')
    process.env[name] = value
  }
  const latencies = { ...QUICK, device: 1, detached: 1 }
  const cloud = new MemoryAws({ timer: systemClock, random: Math.random, subnets: SUBNETS, latencies })
  cloud.addMachine({ id: 'i-01', node: 'n1', address: '10.72.1.11', limits: LIMITS }, 'subnet-nodes-a')
  const ec2 = new Ec2(cloud, systemClock, Math.random)
  const server = ec2Server(ec2, cloud).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const of = { ...CLASS, securityGroups: { ids: [], tags: {} } }
  const common = { cluster: 'c1', region: '', classes: [of], classOf: () => of }
  const provider = new AwsProvider({ ...common, endpoint: `http://127.0.0.1:${port}` })
  return {
    cloud,
    ec2,
    provider,
    async [Symbol.asyncDispose]() {
      await provider.close()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

test('an interface goes all its way, from a request to its end', async () => {
  await using at = await started()
  const { provider, cloud } = at
  const seen = () => [...cloud.nics.values()].map(nic => `${nic.id} ${nic.status} ${nic.index} ${nic.blocks.length}`)
  assert.deepEqual(await provider.limits(MACHINE, signal), { ...LIMITS, lengths: { 4: [28, 32], 6: [] } })
  const { nics, subnets } = await provider.sweep([MACHINE], signal)
  assert.deepEqual(
    nics.map(({ addresses, index }) => [...addresses, index]),
    [['10.72.1.11', 0]],
  )
  assert.deepEqual(subnets.map(({ id, cidrs, forNics }) => `${id} ${cidrs.join()} ${forNics}`).sort(), [
    'subnet-nodes-a 10.72.1.0/24 false',
    'subnet-pods-a 10.72.11.0/24 true',
    'subnet-pods-b 10.72.12.0/24 true',
  ])

  const create = { kind: 'create', token: 't1', subnet: 'subnet-pods-a', length: 32, count: 2 } as const
  const [made] = (await provider.call(MACHINE, create, signal)).nics
  assert.ok(made)
  assert.equal((await provider.call(MACHINE, create, signal)).nics[0]?.id, made.id)
  assert.deepEqual([made.token, made.node, made.blocks.length], ['t1', 'n1', 2])
  await provider.call(MACHINE, { kind: 'attach', nic: made.id, index: 1, token: 't1' }, signal)
  await provider.call(MACHINE, { kind: 'protect', nic: made.id }, signal)
  const given = await provider.call(MACHINE, { kind: 'assign', nic: made.id, family: 4, length: 28, count: 1 }, signal)
  const blocks = given.nics[0]?.blocks ?? []
  assert.match(blocks.join(), /^10\.72\.11\.\d+\/28$/)
  await provider.call(MACHINE, { kind: 'release', nic: made.id, blocks: [...blocks, ...made.blocks] }, signal)
  const [, second] = (await provider.call(MACHINE, { kind: 'observe' }, signal)).nics
  assert.deepEqual([second?.deletedWithMachine, second?.blocks, second?.index], [true, [], 1])
  await provider.call(MACHINE, { kind: 'detach', nic: made.id }, signal)
  while (cloud.nics.get(made.id)?.status !== 'available') await new Promise(turn => setImmediate(turn))
  await provider.call(MACHINE, { kind: 'delete', nic: made.id }, signal)
  assert.deepEqual(seen(), ['eni-00000001 attached 0 0'])
})

const wrong = [
  ['throttled', { throttled: 1 }, 'throttled'],
  ['not answered', { refused: 1 }, 'ambiguous'],
  ['denied', { denied: 1 }, 'denied'],
] as const
for (const [what, faults, kind] of wrong)
  test(`a change that is ${what} is that to the provider too`, async () => {
    await using at = await started()
    at.ec2.faults = faults
    const call = { kind: 'assign', nic: 'eni-00000001', family: 4, length: 32, count: 1 } as const
    await assert.rejects(at.provider.call(MACHINE, call, signal), { code: 'CLOUD_FAILURE', kind })
  })

test('what EC2 refuses is told by its code', async () => {
  await using at = await started()
  const refusals = [
    [{ kind: 'delete', nic: 'eni-none' }, 'gone'],
    [{ kind: 'assign', nic: 'eni-00000001', family: 4, length: 32, count: 4 }, 'limit'],
    [{ kind: 'release', nic: 'eni-00000001', blocks: ['10.72.1.99/32'] }, 'gone'],
    [{ kind: 'delete', nic: 'eni-00000001' }, 'conflict'],
  ] as const
  for (const [call, kind] of refusals) await assert.rejects(at.provider.call(MACHINE, call, signal), { kind })
})
