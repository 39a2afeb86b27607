import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import type { WireRequest } from '../../test/support/wire-server.ts'
import { gcpPermissionNames, gcpPermissions } from './permissions.ts'
import { instanceBody, json, keptInstance, MACHINE, NIC, serveGce } from './testdata/gce.ts'

const signal = AbortSignal.timeout(60_000)

/** The permission that Google checks for a request (IAM permissions of methods of Compute Engine). */
function permissionOf({ method, path }: WireRequest): string {
  const rest = path.replace(/^\/compute\/v1\/projects\/[^/]+\/(zones|regions)\/[^/]+\//, '').split('/')
  if (rest[0] === 'operations') return 'compute.zoneOperations.get'
  if (method === 'PATCH') return `compute.${rest[0]}.${rest.at(-1)}`
  return `compute.${rest[0]}.${rest.length === 1 ? 'list' : 'get'}`
}

test('the role has the permission of every request that the provider makes at the wire, and to use the subnet', async () => {
  await using cloud = await serveGce({
    ...keptInstance([]),
    'GET instances': () => json({ items: [instanceBody([])] }),
    'GET regions/europe-west1/subnetworks/nodes': () => json({ ipCidrRange: '10.0.0.0/24' }),
  })
  const add = [{ nic: NIC, length: 32, family: 4 as const, count: 1 }]
  await cloud.provider.call(MACHINE, { kind: 'write', add, remove: [] }, signal)
  await cloud.provider.sweep([MACHINE], signal)
  const made = new Set(cloud.server.requests.map(permissionOf))
  assert.deepEqual(gcpPermissionNames(), [...made, 'compute.subnetworks.use'].sort())
})

test('the role is YAML that gcloud takes', () => {
  const role = parse(gcpPermissions()) as Readonly<Record<string, unknown>>
  assert.deepEqual(role['includedPermissions'], gcpPermissionNames())
  assert.equal(role['stage'], 'GA')
})
