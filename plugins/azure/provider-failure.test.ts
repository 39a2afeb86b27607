import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Wire, WireRequest } from '../../test/support/wire-server.ts'
import type { Call, FailureKind } from '../cloud-core/model.ts'
import { errorAnswer, FIRST, json, MACHINE, NIC, nicBody, serveArm } from './testdata/arm.ts'

const signal = AbortSignal.timeout(60_000)
const NIC_PATH = 'microsoft.network/networkinterfaces/nic1'
const write = (length: number): Call => ({
  kind: 'write',
  add: [{ nic: NIC.toLowerCase(), length, family: 4, count: 1 }],
  remove: [],
})
const machine = () => json({ id: MACHINE.id, properties: { networkProfile: { networkInterfaces: [{ id: NIC }] } } })
const denied = errorAnswer(
  403,
  'LinkedAuthorizationFailed',
  "The client has permission to perform action 'x/write' but not action 'Microsoft.Network/virtualNetworks/subnets/join/action'",
)

/** What becomes of a write and of a look that are answered so. */
const cases: readonly (readonly [what: string, wire: Wire, write: FailureKind, look: FailureKind, words: RegExp])[] = [
  ['throttling', errorAnswer(429, 'TooManyRequests'), 'throttled', 'throttled', /TooManyRequests/],
  ['a full subnet', errorAnswer(400, 'SubnetIsFull'), 'full', 'full', /SubnetIsFull/],
  [
    'a full interface',
    errorAnswer(400, 'SecondaryIpConfigurationCountPerVMSSVMExceeded'),
    'limit',
    'limit',
    /CountPerVMSSVMExceeded/,
  ],
  ['somebody else', errorAnswer(412, 'PreconditionFailed'), 'conflict', 'conflict', /PreconditionFailed/],
  ['another operation', errorAnswer(409, 'AnotherOperationInProgress'), 'conflict', 'conflict', /AnotherOperation/],
  ['what is gone', errorAnswer(404, 'ResourceNotFound'), 'gone', 'gone', /ResourceNotFound/],
  ['a wrong request', errorAnswer(400, 'InvalidRequestFormat'), 'invalid', 'invalid', /InvalidRequestFormat/],
  ['wrong credentials', errorAnswer(401, 'InvalidAuthenticationToken'), 'denied', 'denied', /not accepted/],
  ['a lack of permission', denied, 'denied', 'denied', /the role lacks \{"Actions":\["/],
  ['an error inside', errorAnswer(500, 'InternalServerError'), 'ambiguous', 'unreachable', /InternalServerError/],
  [
    'a gateway',
    { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>' },
    'ambiguous',
    'unreachable',
    /502/,
  ],
  ['a page', { headers: { 'content-type': 'text/html' }, body: '<html>' }, 'ambiguous', 'invalid', /cannot be read/],
  [
    'half an answer',
    { headers: { 'content-type': 'application/json' }, body: '{"id":"/subscr' },
    'ambiguous',
    'invalid',
    /JSON/,
  ],
  ['another answer', json({ a: 1 }), 'ambiguous', 'invalid', /cannot be read: id is missing/],
  ['a list', json([]), 'ambiguous', 'invalid', /cannot be read/],
  ['no words', { body: '' }, 'ambiguous', 'invalid', /cannot be read/],
  ['an end of the connection', 'cut', 'ambiguous', 'unreachable', /no answer/],
  ['silence', 'silence', 'ambiguous', 'unreachable', /no answer/],
]
for (const [what, wire, change, look, words] of cases)
  test(`${what} makes a write ${change} and a look ${look}, after one attempt`, async () => {
    const answers = {
      'GET microsoft.compute/virtualmachines/vm1': machine,
      [`GET ${NIC_PATH}`]: () => json(nicBody([FIRST])),
    }
    await using writing = await serveArm({ ...answers, [`PUT ${NIC_PATH}`]: () => wire }, { timeoutMs: 300 })
    const failure = { code: 'CLOUD_FAILURE', kind: change, message: words }
    await assert.rejects(writing.provider.call(MACHINE, write(32), signal), failure)
    assert.deepEqual(writing.asked(), [`GET ${NIC_PATH}`, `PUT ${NIC_PATH}`])
    const about = /^networkInterfaces\.createOrUpdate \(1 of \/32 more, vm1, node n1\): /
    await assert.rejects(writing.provider.call(MACHINE, write(32), signal), { message: about })
    await using looking = await serveArm({ ...answers, [`GET ${NIC_PATH}`]: () => wire }, { timeoutMs: 300 })
    await assert.rejects(looking.provider.call(MACHINE, { kind: 'observe' }, signal), { kind: look, message: words })
  })

/** A write that Azure accepts, and what it answers when asked what has become of it. */
const accepted: readonly (readonly [
  what: string,
  wire: (request: WireRequest) => Wire,
  kind: FailureKind,
  words: RegExp,
])[] = [
  [
    'failed for a full subnet',
    () => json({ status: 'Failed', error: { code: 'SubnetIsFull', message: 'Subnet nodes is full' } }),
    'full',
    /SubnetIsFull: Subnet nodes is full/,
  ],
  [
    'was overtaken',
    () => json({ status: 'Failed', error: { code: 'OperationPreempted', message: 'by another' } }),
    'conflict',
    /OperationPreempted/,
  ],
  ['failed for nobody knows what', () => json({ status: 'Failed' }), 'ambiguous', /failed/],
  [
    'cannot be asked for',
    () => errorAnswer(429, 'TooManyRequests'),
    'ambiguous',
    /accepted, and then: words of TooMany/,
  ],
  ['is forgotten', () => errorAnswer(404, 'NotFound'), 'ambiguous', /accepted, and then/],
  ['gets no answer', () => 'cut', 'ambiguous', /accepted, and then/],
  ['gets a page for an answer', () => ({ headers: { 'content-type': 'text/html' }, body: '<' }), 'ambiguous', /./],
]
for (const [what, wire, kind, words] of accepted)
  test(`a write that was accepted and ${what} is ${kind}`, async () => {
    await using cloud = await serveArm({
      [`GET ${NIC_PATH}`]: () => json(nicBody([FIRST])),
      [`PUT ${NIC_PATH}`]: ({ headers }) => {
        const operation = `https://${headers['host']}/operations/o1`
        return json(nicBody([FIRST]), 201, { 'azure-asyncoperation': operation, 'retry-after': '0' })
      },
      'GET /operations/o1': wire,
    })
    await assert.rejects(cloud.provider.call(MACHINE, write(32), signal), { kind, message: words })
  })

test('a subnet that is full for a block is asked for single addresses next', async () => {
  await using cloud = await serveArm({
    [`GET ${NIC_PATH}`]: () => json(nicBody([FIRST])),
    [`PUT ${NIC_PATH}`]: () => errorAnswer(400, 'SubnetIsFull'),
  })
  await assert.rejects(cloud.provider.call(MACHINE, write(28), signal), { kind: 'fragmented' })
})

test('throttling says when to come back', async () => {
  await using cloud = await serveArm({ [`GET ${NIC_PATH}`]: () => errorAnswer(429, 'TooManyRequests') })
  await assert.rejects(cloud.provider.call(MACHINE, write(32), signal), { kind: 'throttled', retryAfterMs: 7000 })
})

test('what cannot be read after a write is ambiguous: the write was made', async () => {
  let written = false
  await using cloud = await serveArm({
    'GET microsoft.compute/virtualmachines/vm1': () => (written ? errorAnswer(429, 'TooManyRequests') : machine()),
    [`GET ${NIC_PATH}`]: () => json(nicBody([FIRST])),
    [`PUT ${NIC_PATH}`]: () => ((written = true), json(nicBody([FIRST]))),
  })
  await assert.rejects(cloud.provider.call(MACHINE, write(32), signal), {
    kind: 'ambiguous',
    message: /was written before/,
  })
})

test('without an identity a call is denied before it is made', async () => {
  await using cloud = await serveArm({}, { ownCredential: true })
  process.env['AZURE_CLIENT_ID'] = 'c'
  process.env['AZURE_FEDERATED_TOKEN_FILE'] = '/nonexistent'
  try {
    await assert.rejects(cloud.provider.call(MACHINE, write(32), signal), { kind: 'denied', message: /no credentials/ })
  } finally {
    delete process.env['AZURE_CLIENT_ID']
    delete process.env['AZURE_FEDERATED_TOKEN_FILE']
  }
  assert.deepEqual(cloud.asked(), [])
})

test('a service that is not there has done nothing, and whoever stops a write does not know', async () => {
  const cloud = await serveArm({
    [`GET ${NIC_PATH}`]: () => json(nicBody([FIRST])),
    [`PUT ${NIC_PATH}`]: () => 'silence',
  })
  const stop = new AbortController()
  const made = cloud.provider.call(MACHINE, write(32), stop.signal)
  setTimeout(() => stop.abort(new Error('no answer after 30 s')), 300)
  await assert.rejects(made, { kind: 'ambiguous', message: /no answer after 30 s/ })
  await cloud[Symbol.asyncDispose]()
  await assert.rejects(cloud.provider.call(MACHINE, write(32), signal), {
    kind: 'unreachable',
    message: /ECONNREFUSED/,
  })
})

test('what Azure has no call for is refused', async () => {
  await using cloud = await serveArm({})
  const call: Call = { kind: 'delete', nic: NIC }
  await assert.rejects(cloud.provider.call(MACHINE, call, signal), { kind: 'invalid', message: /no call to delete/ })
})
