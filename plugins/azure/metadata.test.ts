import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveWire } from '../../test/support/wire-server.ts'
import { azureFacts, azureMachineId } from './metadata.ts'

const COMPUTE = {
  azEnvironment: 'AzurePublicCloud',
  location: 'westeurope',
  name: 'pool1_0',
  resourceGroupName: 'MC_rg',
  resourceId:
    '/subscriptions/s1/resourceGroups/MC_rg/providers/Microsoft.Compute/virtualMachineScaleSets/pool1/virtualMachines/0',
  subscriptionId: 's1',
  vmScaleSetName: 'pool1',
  vmSize: 'Standard_D4s_v5',
  zone: '1',
}

for (const [zone, want] of [
  ['1', 'westeurope-1'],
  ['', '0'],
] as const)
  test(`identity, size and region are asked for with the header; a machine in zone '${zone}' is in ${want}`, async () => {
    await using server = await serveWire(({ headers, path, query }) => {
      if (headers['metadata'] !== 'true') return { status: 400 }
      if (path !== '/metadata/instance/compute' || query.get('api-version') === null) return { status: 404 }
      return { body: JSON.stringify({ ...COMPUTE, zone }) }
    })
    assert.deepEqual(await azureFacts(AbortSignal.timeout(5000), server.url), {
      id: COMPUTE.resourceId.toLowerCase(),
      type: 'Standard_D4s_v5',
      zone: want,
      region: 'westeurope',
      subnet: '',
    })
  })

for (const [what, body, message] of [
  ['no JSON', '<html>', /no JSON object/],
  ['of no machine', JSON.stringify({ ...COMPUTE, resourceId: '/subscriptions/s1' }), /which is none/],
  ['without a size', JSON.stringify({ ...COMPUTE, vmSize: undefined }), /lacks vmSize/],
] as const)
  test(`an answer that is ${what} ends in an error that says so`, async () => {
    await using server = await serveWire(() => ({ body }))
    await assert.rejects(azureFacts(AbortSignal.timeout(5000), server.url), { code: 'METADATA', message })
  })

test('a provider ID names a machine or an instance of a scale set, in small letters, or is none of Azure', () => {
  const machine = '/subscriptions/S1/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/vm1'
  assert.equal(azureMachineId(`azure://${machine}`), machine.toLowerCase())
  assert.equal(azureMachineId(`azure://${COMPUTE.resourceId}`), COMPUTE.resourceId.toLowerCase())
  for (const other of ['azure:///subscriptions/s1/resourceGroups/rg', `aws://${machine}`, '', 'azure://x'])
    assert.equal(azureMachineId(other), undefined)
})
