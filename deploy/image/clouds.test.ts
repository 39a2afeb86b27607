/** Each cloud's SDK as it is built: a file of its own, which works without any other. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { serveWire } from '../../test/support/wire-server.ts'
import { ROOT } from '../lab/built.ts'
import { BUNDLES } from './content.ts'

type AwsSdk = typeof import('../../plugins/aws-eni/sdk.ts')
type AzureSdk = typeof import('../../plugins/azure/sdk.ts')
type GcpSdk = typeof import('../../plugins/gcp/sdk.ts')

const DAEMON = join(ROOT, 'build/daemon')
const require = createRequire(import.meta.url)
/** Each file has just what is exported where it is made from: the compiler has checked that. */
const load = (name: string): unknown => require(join(DAEMON, name))
const inImage = (name: string): boolean => BUNDLES.some(bundle => bundle === name)

test('the SDK of AWS is in the image; it signs a request, and assumes a role', async () => {
  assert.ok(inImage('sdk-aws-eni.cjs'))
  const sdk = load('sdk-aws-eni.cjs') as AwsSdk
  await using server = await serveWire(() => ({
    headers: { 'content-type': 'text/xml' },
    body: '<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-1</subnetId></item></subnetSet></DescribeSubnetsResponse>',
  }))
  const settings = {
    region: 'eu-west-1',
    endpoint: server.url,
    maxAttempts: 1,
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'secret' },
  }
  const client = new sdk.EC2Client(settings)
  const { Subnets } = await client.send(new sdk.DescribeSubnetsCommand({}))
  assert.deepEqual(
    Subnets?.map(({ SubnetId }) => SubnetId),
    ['subnet-1'],
  )
  await new sdk.STSClient(settings)
    .send(new sdk.AssumeRoleCommand({ RoleArn: 'arn:aws:iam::1:role/r', RoleSessionName: 's' }))
    .catch(() => undefined)
  const signed = server.requests.map(({ headers }) => /\/(ec2|sts)\//.exec(headers['authorization'] ?? '')?.[1])
  assert.deepEqual(signed, ['ec2', 'sts'])
})

test('the SDKs of Azure are in the image; they ask for a token before anything else', async () => {
  assert.ok(inImage('sdk-azure.cjs'))
  const sdk = load('sdk-azure.cjs') as AzureSdk
  const asked: unknown[] = []
  const credential = {
    getToken: (scopes: string | string[]) => {
      asked.push(scopes)
      return Promise.reject(new Error('none'))
    },
  }
  const clients = [
    new sdk.NetworkManagementClient(credential, 's1').networkInterfaces.get('g', 'n'),
    new sdk.ComputeManagementClient(credential, 's1').virtualMachines.get('g', 'n'),
  ]
  for (const answer of clients) await assert.rejects(answer, { message: 'none' })
  assert.deepEqual(asked, [['https://management.azure.com/.default'], ['https://management.azure.com/.default']])
  assert.throws(() => new sdk.WorkloadIdentityCredential({ clientId: '' }), /clientId/)
})

test("Google's library is in the image; it reads the credentials that it is told of", async () => {
  assert.ok(inImage('sdk-gcp.cjs'))
  const { GoogleAuth } = load('sdk-gcp.cjs') as GcpSdk
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = '/nonexistent'
  try {
    await assert.rejects(new GoogleAuth({ projectId: 'p' }).getClient(), { message: /nonexistent/ })
  } finally {
    delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  }
})

test("the daemon's bundle has nothing of any cloud's SDK, and finds that of its cloud", () => {
  const text = readFileSync(join(DAEMON, 'causeway.cjs'), 'utf8')
  for (const sign of ['@smithy', 'AWS4-HMAC', 'azsdk-js', 'msal', 'gaxios', 'GoogleAuth {'])
    assert.ok(!text.includes(sign), sign)
  assert.ok(text.includes('"./sdk-aws-eni.cjs"'))
  assert.ok(statSync(join(DAEMON, 'sdk-aws-eni.cjs')).size > 1_000_000)
})
