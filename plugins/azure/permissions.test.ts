import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WireRequest } from '../../test/support/wire-server.ts'
import type { Call } from '../cloud-core/model.ts'
import { azureActions, azurePermissions } from './permissions.ts'
import {
  FIRST,
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

/** The action that Azure checks for a request: its types without names, and what it does (resource provider operations). */
function actionOf({ method, path }: WireRequest): string {
  const [provider, ...rest] = path.slice(path.lastIndexOf('/providers/') + '/providers/'.length).split('/')
  const types = rest.filter((_, n) => n % 2 === 0)
  return `${provider}/${types.join('/')}/${method === 'PUT' ? 'write' : 'read'}`.toLowerCase()
}

test('the role has the action of every request that the provider makes at the wire, and what a whole write may join', async () => {
  const instancePath = 'microsoft.compute/virtualmachinescalesets/pool1/virtualmachines/0'
  const nics = () => json({ value: [nicBody([FIRST], { id: INSTANCE_NIC, machine: INSTANCE.id })] })
  const machine = () => json({ id: MACHINE.id, properties: { networkProfile: { networkInterfaces: [{ id: NIC }] } } })
  await using cloud = await serveArm({
    'GET microsoft.compute/virtualmachines/vm1': machine,
    'GET microsoft.network/networkinterfaces': () => json({ value: [nicBody([FIRST])] }),
    'GET microsoft.network/networkinterfaces/nic1': () => json(nicBody([FIRST])),
    'PUT microsoft.network/networkinterfaces/nic1': () => json(nicBody([FIRST])),
    [`GET ${instancePath}`]: () => json(instanceBody(['ipconfig1'])),
    [`PUT ${instancePath}`]: () => json(instanceBody(['ipconfig1'])),
    [`GET ${instancePath}/networkinterfaces`]: nics,
    'GET microsoft.compute/virtualmachinescalesets/pool1/networkinterfaces': nics,
    'GET microsoft.network/virtualnetworks/vnet': () =>
      json({ id: NETWORK, properties: { subnets: [{ id: SUBNET, properties: {} }] } }),
    'GET microsoft.network/virtualnetworks/vnet/usages': () => json({ value: [] }),
  })
  const write = (nic: string): Call => ({
    kind: 'write',
    add: [{ nic: nic.toLowerCase(), length: 32, family: 4, count: 1 }],
    remove: [],
  })
  await cloud.provider.call(MACHINE, write(NIC), signal)
  await cloud.provider.call(INSTANCE, write(INSTANCE_NIC), signal)
  await cloud.provider.sweep([MACHINE, INSTANCE], signal)
  const made = new Set(cloud.server.requests.map(actionOf))
  const joins = [
    'microsoft.network/applicationsecuritygroups/joinipconfiguration/action',
    'microsoft.network/loadbalancers/backendaddresspools/join/action',
    'microsoft.network/loadbalancers/inboundnatrules/join/action',
    'microsoft.network/networksecuritygroups/join/action',
    'microsoft.network/publicipaddresses/join/action',
    'microsoft.network/virtualnetworks/subnets/join/action',
  ]
  assert.deepEqual(
    azureActions()
      .map(action => action.toLowerCase())
      .sort(),
    [...made, ...joins].sort(),
  )
})

test('the role is what az takes, for the scopes that it is asked for', () => {
  const role = JSON.parse(azurePermissions({ scopes: ['/subscriptions/s1'] })) as Readonly<Record<string, unknown>>
  assert.deepEqual(role['AssignableScopes'], ['/subscriptions/s1'])
  assert.deepEqual(role['Actions'], azureActions())
  assert.equal(role['IsCustom'], true)
})
