import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AZURE_BUDGETS } from '../cloud-core/memory/azure.ts'
import type { Call } from '../cloud-core/model.ts'
import type { Machine } from '../cloud-core/provider.ts'
import { BUDGETS } from './provider-apis.ts'
import {
  type Answers,
  configuration,
  FIRST,
  GROUP,
  INSTANCE,
  INSTANCE_NIC,
  instanceBody,
  json,
  MACHINE,
  NETWORK,
  NIC,
  nicBody,
  serveArm,
  SUBNET,
} from './testdata/arm.ts'

const signal = AbortSignal.timeout(60_000)
const nic = NIC.toLowerCase()
const NIC_PATH = 'microsoft.network/networkinterfaces/nic1'
const INSTANCE_PATH = 'microsoft.compute/virtualmachinescalesets/pool1/virtualmachines/0'
const machine = (...nics: readonly string[]) =>
  json({
    id: MACHINE.id,
    location: 'westeurope',
    properties: { networkProfile: { networkInterfaces: nics.map(id => ({ id })) } },
  })
const OLD = { name: 'causeway-0', address: '10.240.0.9' }
const BLOCK = { name: 'causeway-1', address: '10.240.0.32', length: 28 }
const FOREIGN = { name: 'vip', address: '10.240.0.200', more: { applicationSecurityGroups: [{ id: `${GROUP}/asg` }] } }

const write = (add: readonly (readonly [length: number, count: number])[], remove: readonly string[] = []): Call => ({
  kind: 'write',
  add: add.map(([length, count]) => ({ nic, length, family: 4, count })),
  remove: remove.map(block => ({ nic, block })),
})

/** One that takes what is written and gives addresses to what has none. */
function keptNic(before: ReturnType<typeof nicBody>): Answers {
  let current = before
  let next = 50
  return {
    'GET microsoft.compute/virtualmachines/vm1': () => machine(NIC),
    [`GET ${NIC_PATH}`]: () => json(current),
    [`PUT ${NIC_PATH}`]: ({ body }) => {
      current = JSON.parse(body) as ReturnType<typeof nicBody>
      current.properties = {
        ...current.properties,
        virtualMachine: { id: MACHINE.id },
        macAddress: '00-0D-3A-2B-4C-5D',
      }
      for (const { properties } of current.properties.ipConfigurations)
        properties.privateIPAddress ??= `10.240.0.${next++}`
      return json(current)
    },
  }
}

test('an interface is written whole, with all that others have configured, its tag, and all changes in one request', async () => {
  const before = nicBody([FIRST, FOREIGN, OLD])
  await using cloud = await serveArm(keptNic(before))
  const reply = await cloud.provider.call(MACHINE, write([[32, 2]], ['10.240.0.9/32']), signal)
  const [put, ...others] = cloud.server.requests.filter(({ method }) => method === 'PUT')
  assert.deepEqual(others, [])
  assert.equal(put?.headers['if-match'], 'W/"42"')
  assert.equal(put?.headers['authorization'], 'Bearer test-token')
  assert.match(put?.query.get('api-version') ?? '', /^20\d\d-\d\d-\d\d$/)
  const sent = JSON.parse(put?.body ?? '') as typeof before
  const added = (name: string) => ({
    name,
    properties: {
      primary: false,
      privateIPAllocationMethod: 'Dynamic',
      privateIPAddressVersion: 'IPv4',
      subnet: { id: SUBNET },
    },
  })
  const { provisioningState: _first, ...own } = configuration(FIRST).properties
  const { provisioningState: _other, ...vip } = configuration(FOREIGN).properties
  assert.deepEqual(
    sent.properties.ipConfigurations.map(({ name, properties }) => ({ name, properties })),
    [
      { name: 'ipconfig1', properties: own },
      { name: 'vip', properties: vip },
      added('causeway-1'),
      added('causeway-2'),
    ],
  )
  const { networkSecurityGroup, enableAcceleratedNetworking, enableIPForwarding, nicType, auxiliaryMode } =
    sent.properties
  const kept = before.properties
  assert.deepEqual(networkSecurityGroup, kept.networkSecurityGroup)
  assert.deepEqual(
    [enableAcceleratedNetworking, enableIPForwarding, nicType, auxiliaryMode],
    [true, true, 'Standard', 'None'],
  )
  assert.deepEqual(sent.properties.dnsSettings.dnsServers, ['10.9.9.9'])
  assert.deepEqual([sent.tags, sent.location], [before.tags, 'westeurope'])
  assert.deepEqual(reply.nics[0]?.blocks, ['10.240.0.200/32', '10.240.0.50/32', '10.240.0.51/32'])
})

test('a block is a configuration with a prefix length', async () => {
  await using cloud = await serveArm(keptNic(nicBody([FIRST])))
  const reply = await cloud.provider.call(MACHINE, write([[28, 1]]), signal)
  const put = cloud.server.requests.find(({ method }) => method === 'PUT')
  assert.match(put?.body ?? '', /"name":"causeway-0".*"privateIPAddressPrefixLength":28/)
  assert.deepEqual(reply.nics[0]?.blocks, ['10.240.0.48/28'])
})

test('what is to be given back and is not there is given back already: nothing is written', async () => {
  await using cloud = await serveArm(keptNic(nicBody([FIRST])))
  await cloud.provider.call(MACHINE, write([], ['10.240.0.9/32']), signal)
  assert.deepEqual(
    cloud.asked().filter(key => key.startsWith('PUT')),
    [],
  )
})

test('a change that takes its time is waited for', async () => {
  let asked = 0
  const done = nicBody([FIRST, OLD])
  await using cloud = await serveArm({
    'GET microsoft.compute/virtualmachines/vm1': () => machine(NIC),
    [`GET ${NIC_PATH}`]: () => json(asked < 2 ? nicBody([FIRST]) : done),
    [`PUT ${NIC_PATH}`]: ({ headers }) => {
      const operation = `https://${headers['host']}/subscriptions/s1/providers/Microsoft.Network/locations/we/operations/o1`
      return json({ ...done, properties: { ...done.properties, provisioningState: 'Updating' } }, 201, {
        'azure-asyncoperation': operation,
        'retry-after': '0',
      })
    },
    'GET /subscriptions/s1/providers/microsoft.network/locations/we/operations/o1': () =>
      json({ status: ++asked < 2 ? 'InProgress' : 'Succeeded' }, 200, { 'retry-after': '0' }),
  })
  const reply = await cloud.provider.call(MACHINE, write([[32, 1]]), signal)
  assert.equal(asked, 2)
  assert.deepEqual(reply.nics[0]?.blocks, ['10.240.0.9/32'])
})

test('interfaces of a machine are shown with their index, own addresses and blocks', async () => {
  const second = NIC.replace('nic1', 'nic2')
  await using cloud = await serveArm({
    'GET microsoft.compute/virtualmachines/vm1': () => machine(second, NIC),
    [`GET ${NIC_PATH}`]: () =>
      json(
        nicBody([FIRST, OLD, BLOCK, { name: 'six', address: 'fd00::5', more: { privateIPAddressVersion: 'IPv6' } }]),
      ),
    'GET microsoft.network/networkinterfaces/nic2': () =>
      json(nicBody([{ name: 'ipconfig1', address: '10.241.0.4', primary: true }], { id: second, primary: false })),
  })
  const { nics } = await cloud.provider.call(MACHINE, { kind: 'observe' }, signal)
  assert.deepEqual(nics, [
    {
      id: nic,
      mac: '00:0d:3a:2b:4c:5d',
      subnet: SUBNET.toLowerCase(),
      status: 'attached',
      machine: MACHINE.id,
      index: 0,
      deletedWithMachine: true,
      forPods: true,
      token: '',
      node: '',
      addresses: ['10.240.0.4', 'fd00::5'],
      blocks: ['10.240.0.9/32', '10.240.0.32/28'],
    },
    { ...nics[0], id: second.toLowerCase(), index: 1, forPods: false, addresses: ['10.241.0.4'], blocks: [] },
  ])
})

const instanceNic = INSTANCE_NIC.toLowerCase()
const instanceNics = (configurations: Parameters<typeof nicBody>[0]) =>
  json({ value: [nicBody(configurations, { id: INSTANCE_NIC, machine: INSTANCE.id })] })

test('the instance of a scale set is written through its model, without the image that nobody may refer to', async () => {
  const before = instanceBody(['ipconfig1', 'vip', 'causeway-0'])
  let nics = [FIRST, FOREIGN, OLD]
  await using cloud = await serveArm({
    [`GET ${INSTANCE_PATH}`]: () => json(before),
    [`GET ${INSTANCE_PATH}/networkinterfaces`]: () => instanceNics(nics),
    [`PUT ${INSTANCE_PATH}`]: ({ body }) => {
      nics = [
        FIRST,
        FOREIGN,
        { name: 'causeway-1', address: '10.240.0.60' },
        { name: 'causeway-2', address: '10.240.0.61' },
      ]
      return json({ ...before, ...(JSON.parse(body) as object) })
    },
  })
  const call: Call = {
    kind: 'write',
    add: [{ nic: instanceNic, length: 32, family: 4, count: 2 }],
    remove: [{ nic: instanceNic, block: '10.240.0.9/32' }],
  }
  const reply = await cloud.provider.call(INSTANCE, call, signal)
  const put = cloud.server.requests.find(({ method }) => method === 'PUT')
  assert.equal(put?.headers['if-match'], '"7"')
  const sent = JSON.parse(put?.body ?? '') as ReturnType<typeof instanceBody>
  const { imageReference: _image, ...storage } = before.properties.storageProfile
  assert.deepEqual(sent.properties.storageProfile, storage)
  assert.deepEqual(sent.properties.osProfile, before.properties.osProfile)
  assert.deepEqual(sent.properties.networkProfile, before.properties.networkProfile)
  const [had] = before.properties.networkProfileConfiguration.networkInterfaceConfigurations
  const [has, ...others] = sent.properties.networkProfileConfiguration.networkInterfaceConfigurations
  assert.deepEqual(others, [])
  const more = (name: string) => ({
    name,
    properties: { primary: false, subnet: { id: SUBNET }, privateIPAddressVersion: 'IPv4' },
  })
  const kept = had?.properties.ipConfigurations.slice(0, 2) ?? []
  assert.deepEqual(has, {
    ...had,
    properties: { ...had?.properties, ipConfigurations: [...kept, more('causeway-1'), more('causeway-2')] },
  })
  assert.deepEqual([sent.tags, sent.location], [before.tags, before.location])
  assert.deepEqual(reply.nics[0]?.blocks, ['10.240.0.200/32', '10.240.0.60/32', '10.240.0.61/32'])
  assert.equal(reply.nics[0]?.id, instanceNic)
})

test('a sweep lists interfaces by group and by scale set, all pages, and looks alone for those of another group', async () => {
  const far = NIC.replace('MC_rg', 'other').replace('nic1', 'nic9')
  const alone: Machine = { ...MACHINE, node: 'n3', id: MACHINE.id.replace('vm1', 'vm3') }
  const gone: Machine = { ...MACHINE, node: 'n4', id: MACHINE.id.replace('vm1', 'vm4') }
  await using cloud = await serveArm({
    'GET microsoft.network/networkinterfaces': ({ query, headers }) =>
      query.get('page') === '2'
        ? json({ value: [nicBody([FIRST, OLD])] })
        : json({
            value: [nicBody([FIRST], { id: `${NIC}x`, machine: '/subscriptions/s1/of/somebody/else' })],
            nextLink: `https://${headers['host']}${GROUP}/providers/Microsoft.Network/networkInterfaces?page=2`,
          }),
    'GET microsoft.compute/virtualmachinescalesets/pool1/networkinterfaces': () => instanceNics([FIRST, BLOCK]),
    'GET microsoft.compute/virtualmachines/vm3': () => machine(far),
    'GET microsoft.network/networkinterfaces/nic9': () => json(nicBody([FIRST], { id: far, machine: alone.id })),
    'GET microsoft.network/virtualnetworks/vnet': () =>
      json({
        id: NETWORK,
        properties: {
          addressSpace: { addressPrefixes: ['10.240.0.0/16'] },
          subnets: [
            { id: SUBNET, name: 'nodes', properties: { addressPrefix: '10.240.0.0/24' } },
            { id: `${NETWORK}/subnets/other`, name: 'other', properties: { addressPrefixes: ['10.241.0.0/24'] } },
          ],
        },
      }),
    'GET microsoft.network/virtualnetworks/vnet/usages': () =>
      json({ value: [{ id: SUBNET, currentValue: 51, limit: 251, unit: 'Count', name: {} }] }),
  })
  const { nics, subnets } = await cloud.provider.sweep([MACHINE, INSTANCE, alone, gone], signal)
  assert.deepEqual(
    nics.map(({ id, machine: of, blocks }) => [id, of, blocks.join()]),
    [
      [nic, MACHINE.id, '10.240.0.9/32'],
      [far.toLowerCase(), alone.id, ''],
      [instanceNic, INSTANCE.id, '10.240.0.32/28'],
    ],
  )
  assert.deepEqual(subnets, [
    { id: SUBNET.toLowerCase(), zone: '', cidrs: ['10.240.0.0/24'], free: 200, forNics: false, reserved: [] },
  ])
})

test('a machine of its own can have blocks, the instance of a scale set single addresses alone', async () => {
  await using cloud = await serveArm({})
  const limits = { nics: 1, slots: 255, wholeWrites: true }
  assert.deepEqual(await cloud.provider.limits(MACHINE, signal), { ...limits, lengths: { 4: [28, 32], 6: [] } })
  assert.deepEqual(await cloud.provider.limits(INSTANCE, signal), { ...limits, lengths: { 4: [32], 6: [] } })
  const wrong = { ...MACHINE, id: '/subscriptions/s1/nothing' }
  await assert.rejects(cloud.provider.limits(wrong, signal), { kind: 'invalid', message: /no machine of Azure/ })
})

test('the token of the identity of the machine is asked for once and sent', async () => {
  let asked = 0
  await using cloud = await serveArm(keptNic(nicBody([FIRST])), { ownCredential: true })
  await using identity = await (await import('../../test/support/wire-server.ts')).serveWire(({ query, headers }) => {
    asked++
    assert.equal(query.get('resource'), cloud.server.url)
    assert.equal(headers['x-identity-header'], 'secret')
    const expires = Math.floor(Date.now() / 1000) + 3600
    return json({
      access_token: 'of-the-machine',
      expires_on: String(expires),
      resource: query.get('resource'),
      token_type: 'Bearer',
    })
  })
  process.env['IDENTITY_ENDPOINT'] = `${identity.url}/token`
  process.env['IDENTITY_HEADER'] = 'secret'
  try {
    for (const _ of [1, 2]) await cloud.provider.call(MACHINE, { kind: 'observe' }, signal)
  } finally {
    delete process.env['IDENTITY_ENDPOINT']
    delete process.env['IDENTITY_HEADER']
  }
  assert.equal(asked, 1)
  for (const { headers } of cloud.server.requests) assert.equal(headers['authorization'], 'Bearer of-the-machine')
})

test('budgets are those of the cloud in memory', () => {
  assert.deepEqual(BUDGETS, AZURE_BUDGETS)
})
