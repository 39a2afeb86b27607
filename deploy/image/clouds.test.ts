/** Each cloud's provider as it is built: loaded from its own file, by the operator alone. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { CloudFailure, type CloudProvider } from '../../plugins/cloud-core/provider.ts'
import { serveWire } from '../../test/support/wire-server.ts'
import { ROOT } from '../lab/built.ts'
import { BUNDLES } from './content.ts'

const DAEMON = join(ROOT, 'build/daemon')
const signal = AbortSignal.timeout(60_000)
const load = createRequire(import.meta.url)
const none = { ids: [], tags: {} }
const CLASS = { name: '', roleArn: '', externalId: '', subnets: none, securityGroups: none }

type Make = new (options: object) => CloudProvider
const clouds: readonly (readonly [file: string, name: string, id: string, options: object])[] = [
  ['cloud-aws-eni.cjs', 'AwsProvider', 'i-01', { cluster: 'c', region: '', classes: [CLASS], classOf: () => CLASS }],
  [
    'cloud-azure.cjs',
    'AzureProvider',
    '/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachines/vm',
    {
      otherInterfaces: false,
      credential: { getToken: () => Promise.resolve({ token: 't', expiresOnTimestamp: Date.now() + 3_600_000 }) },
    },
  ],
  [
    'cloud-gcp.cjs',
    'GcpProvider',
    'p/europe-west1-b/vm',
    { rangeName: 'pods', otherInterfaces: false, authorize: () => Promise.resolve(new Headers()) },
  ],
]
for (const [file, name, id, options] of clouds)
  test(`${file} is in the image and asks its cloud; what fails is known by its kind`, async () => {
    assert.ok(BUNDLES.some(bundle => bundle === file))
    const closed = await serveWire(() => 'cut')
    await closed[Symbol.asyncDispose]()
    const provider = new ((load(join(DAEMON, file)) as Readonly<Record<string, Make>>)[name] as Make)({
      ...options,
      endpoint: `https://127.0.0.1:${closed.port}`,
    })
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' })
    const machine = { node: 'n', id, type: 't', zone: 'eu-west-1a' }
    const failure = await provider.call(machine, { kind: 'observe' }, signal).catch((error: unknown) => error)
    assert.ok(failure instanceof CloudFailure, String(failure))
    assert.deepEqual([failure.kind, failure.failure.kind], ['unreachable', 'unreachable'])
    assert.match(failure.message, /ECONNREFUSED/)
    await provider.close?.()
  })

test('Google is asked with its own library for a token', async () => {
  await using server = await serveWire(() => ({
    status: 404,
    body: '{"error":{"code":404,"errors":[{"reason":"notFound"}]}}',
  }))
  const { GcpProvider } = load(join(DAEMON, 'cloud-gcp.cjs')) as { readonly GcpProvider: Make }
  const provider = new GcpProvider({ rangeName: '', otherInterfaces: false, endpoint: server.url })
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = '/nonexistent'
  try {
    const call = provider.call({ node: 'n', id: 'p/z-1-b/vm', type: 't', zone: 'z' }, { kind: 'observe' }, signal)
    await assert.rejects(call, { kind: 'denied', message: /nonexistent/ })
  } finally {
    delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  }
})

test("the daemon's bundle has nothing of any cloud's SDK", () => {
  const text = readFileSync(join(DAEMON, 'causeway.cjs'), 'utf8')
  for (const sign of ['aws-sdk', '@smithy', 'azsdk', 'msal', 'gaxios', 'google-auth'])
    assert.ok(!text.includes(sign), sign)
  assert.ok(statSync(join(DAEMON, 'cloud-aws-eni.cjs')).size > 1_000_000, 'which is where it is looked for')
})
