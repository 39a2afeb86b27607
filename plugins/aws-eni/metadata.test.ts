import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serveWire, type WireRequest } from '../../test/support/wire-server.ts'
import { awsFacts, awsMachineId } from './metadata.ts'

const IDENTITY = {
  accountId: '111122223333',
  architecture: 'x86_64',
  availabilityZone: 'eu-west-1a',
  imageId: 'ami-5fb8c835',
  instanceId: 'i-0123456789abcdef0',
  instanceType: 'm5.large',
  privateIp: '10.0.0.5',
  region: 'eu-west-1',
  version: '2017-09-30',
}

function imds({ method, path, headers }: WireRequest): { status?: number; body?: string } {
  if (method === 'PUT' && path === '/latest/api/token') {
    return headers['x-aws-ec2-metadata-token-ttl-seconds'] === '60' ? { body: 'AQAEAexample==' } : { status: 400 }
  }
  if (headers['x-aws-ec2-metadata-token'] !== 'AQAEAexample==') return { status: 401 }
  const answers: Readonly<Record<string, string>> = {
    '/latest/dynamic/instance-identity/document': JSON.stringify(IDENTITY),
    '/latest/meta-data/mac': '02:29:96:8f:6a:2d',
    '/latest/meta-data/network/interfaces/macs/02:29:96:8f:6a:2d/subnet-id': 'subnet-be9b61d7',
  }
  const body = answers[path]
  return body === undefined ? { status: 404 } : { body }
}

test('identity, type, zone, region and subnet are asked for with a token', async () => {
  await using server = await serveWire(imds)
  assert.deepEqual(await awsFacts(AbortSignal.timeout(5000), server.url), {
    id: 'i-0123456789abcdef0',
    type: 'm5.large',
    zone: 'eu-west-1a',
    region: 'eu-west-1',
    subnet: 'subnet-be9b61d7',
  })
})

test('a service that gives no token ends in an error that names the hop limit', async () => {
  await using server = await serveWire(() => 'cut')
  await assert.rejects(awsFacts(AbortSignal.timeout(5000), server.url), { code: 'METADATA', message: /hop limit of 2/ })
})

const garbage: readonly (readonly [what: string, document: string, message: RegExp])[] = [
  ['no JSON', '<html>', /no JSON object/],
  ['no object', '"i-0123"', /no JSON object/],
  ['no identity', '{"region":"eu-west-1"}', /lacks instanceId/],
]
for (const [what, document, message] of garbage)
  test(`a document that is ${what} ends in an error that says so`, async () => {
    await using server = await serveWire(request =>
      request.path.endsWith('/document') ? { body: document } : imds(request),
    )
    await assert.rejects(awsFacts(AbortSignal.timeout(5000), server.url), { code: 'METADATA', message })
  })

test('a provider ID names an instance, or is none of EC2', () => {
  assert.equal(awsMachineId('aws:///eu-west-1a/i-0123456789abcdef0'), 'i-0123456789abcdef0')
  for (const other of ['aws:///eu-west-1a/fargate-ip-10-0-0-5.eu-west-1.compute.internal', 'gce://p/z/i-01', ''])
    assert.equal(awsMachineId(other), undefined)
})
