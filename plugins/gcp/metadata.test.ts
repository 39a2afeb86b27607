import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveWire } from '../../test/support/wire-server.ts'
import { gcpFacts, gcpMachineId } from './metadata.ts'

const VALUES: Readonly<Record<string, string>> = {
  'project/project-id': 'p1',
  'instance/name': 'vm1',
  'instance/zone': 'projects/123456/zones/europe-west1-b',
  'instance/machine-type': 'projects/123456/machineTypes/n2-standard-4',
}

const serve = (values: Readonly<Record<string, string>>) =>
  serveWire(({ headers, path }) => {
    if (headers['metadata-flavor'] !== 'Google') return { status: 403 }
    const body = values[path.replace('/computeMetadata/v1/', '')]
    return body === undefined ? { status: 404 } : { body: `${body}\n` }
  })

test('identity, type and zone are asked for with the header, one value at a time', async () => {
  await using server = await serve(VALUES)
  assert.deepEqual(await gcpFacts(AbortSignal.timeout(5000), server.url), {
    id: 'p1/europe-west1-b/vm1',
    type: 'n2-standard-4',
    zone: 'europe-west1-b',
    region: 'europe-west1',
    subnet: '',
  })
  assert.equal(server.requests.length, 4)
})

test('a service that lacks a value, or names no machine, ends in an error that says so', async () => {
  await using lacking = await serve({ 'project/project-id': 'p1' })
  const failure = { code: 'METADATA', message: /instance\/name.*404|instance\/zone.*404|machine-type.*404/ }
  await assert.rejects(gcpFacts(AbortSignal.timeout(5000), lacking.url), failure)
  await using wrong = await serve({ ...VALUES, 'instance/name': '<html>' })
  await assert.rejects(gcpFacts(AbortSignal.timeout(5000), wrong.url), { code: 'METADATA', message: /which is none/ })
})

test('a provider ID names a machine, also in a project of a company, or is none of Google', () => {
  assert.equal(gcpMachineId('gce://p1/europe-west1-b/vm1'), 'p1/europe-west1-b/vm1')
  assert.equal(gcpMachineId('gce://example.com:p1/europe-west1-b/vm1'), 'example.com:p1/europe-west1-b/vm1')
  for (const other of ['gce://p1/vm1', 'aws:///eu-west-1a/i-01', '', 'gce:///a/b/c/d'])
    assert.equal(gcpMachineId(other), undefined)
})
