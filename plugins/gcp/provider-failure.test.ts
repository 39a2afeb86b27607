import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Wire } from '../../test/support/wire-server.ts'
import type { Call, FailureKind } from '../cloud-core/model.ts'
import { errorAnswer, instanceBody, json, keptInstance, MACHINE, NIC, operation, serveGce } from './testdata/gce.ts'

const signal = AbortSignal.timeout(60_000)
const PATCH = 'PATCH instances/vm1/updateNetworkInterface'
const WAIT = 'POST operations/operation-1/wait'
const write = (length: number): Call => ({
  kind: 'write',
  add: [{ nic: NIC, length, family: 4, count: 1 }],
  remove: [],
})
const permission =
  "Required 'compute.instances.updateNetworkInterface' permission for 'projects/p1/zones/z/instances/vm1'"

/** What becomes of a write and of a look that are answered so. */
const cases: readonly (readonly [what: string, wire: Wire, write: FailureKind, look: FailureKind, words: RegExp])[] = [
  ['throttling', errorAnswer(403, 'rateLimitExceeded'), 'throttled', 'throttled', /rateLimitExceeded/],
  ['too many requests', errorAnswer(429, 'RESOURCE_EXHAUSTED'), 'throttled', 'throttled', /RESOURCE_EXHAUSTED/],
  ['a used up quota', errorAnswer(403, 'quotaExceeded'), 'limit', 'limit', /quotaExceeded/],
  ['somebody else', errorAnswer(412, 'conditionNotMet'), 'conflict', 'conflict', /conditionNotMet/],
  ['another operation', errorAnswer(400, 'resourceNotReady'), 'conflict', 'conflict', /resourceNotReady/],
  ['what is gone', errorAnswer(404, 'notFound'), 'gone', 'gone', /notFound/],
  ['a wrong request', errorAnswer(400, 'invalid'), 'invalid', 'invalid', /invalid: words/],
  ['wrong credentials', errorAnswer(401, 'authError'), 'denied', 'denied', /not accepted/],
  [
    'a lack of permission',
    errorAnswer(403, 'forbidden', permission),
    'denied',
    'denied',
    /the role lacks includedPermissions: \[compute\.instances\.updateNetworkInterface\]$/,
  ],
  [
    'an API that is off',
    errorAnswer(403, 'accessNotConfigured', 'Compute is disabled'),
    'denied',
    'denied',
    /to be enabled/,
  ],
  ['an error inside', errorAnswer(503, 'backendError'), 'ambiguous', 'unreachable', /backendError/],
  [
    'a gateway',
    { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>' },
    'ambiguous',
    'unreachable',
    /502/,
  ],
  [
    'a page',
    { headers: { 'content-type': 'text/html' }, body: '<html>' },
    'ambiguous',
    'invalid',
    /cannot be read: it is no JSON/,
  ],
  ['half an answer', { body: '{"name":"vm' }, 'ambiguous', 'invalid', /cannot be read/],
  ['another answer', json({ a: 1 }), 'ambiguous', 'invalid', /cannot be read: name/],
  ['a list', json([]), 'ambiguous', 'invalid', /cannot be read/],
  ['nothing', json(null), 'ambiguous', 'invalid', /cannot be read/],
  ['no words', { body: '' }, 'ambiguous', 'invalid', /cannot be read/],
  [
    'another place',
    { status: 302, headers: { location: 'https://127.0.0.1:1/' } },
    'ambiguous',
    'unreachable',
    /no answer/,
  ],
  ['an end of the connection', 'cut', 'ambiguous', 'unreachable', /no answer/],
  ['silence', 'silence', 'ambiguous', 'unreachable', /no answer/],
]
for (const [what, wire, change, look, words] of cases)
  test(`${what} makes a write ${change} and a look ${look}, after one attempt`, async () => {
    await using writing = await serveGce({ ...keptInstance([]), [PATCH]: () => wire }, { timeoutMs: 300 })
    const failure = { code: 'CLOUD_FAILURE', kind: change, message: words }
    await assert.rejects(writing.provider.call(MACHINE, write(32), signal), failure)
    assert.deepEqual(writing.asked(), ['GET instances/vm1', PATCH])
    const about = /^instances\.updateNetworkInterface \(1 of \/32 more, p1\/europe-west1-b\/vm1, node n1\): /
    await assert.rejects(writing.provider.call(MACHINE, write(32), signal), { message: about })
    await using looking = await serveGce({ 'GET instances/vm1': () => wire }, { timeoutMs: 300 })
    await assert.rejects(looking.provider.call(MACHINE, { kind: 'observe' }, signal), { kind: look, message: words })
  })

/** What an operation that was begun answers when it is waited for. */
const begun: readonly (readonly [what: string, wire: Wire, length: number, kind: FailureKind, words: RegExp])[] = [
  [
    'found no address',
    json(operation('DONE', { code: 'IP_SPACE_EXHAUSTED', message: 'IP space of pods is exhausted.' })),
    32,
    'full',
    /IP_SPACE_EXHAUSTED: IP space/,
  ],
  [
    'found no whole range',
    json(operation('DONE', { code: 'IP_SPACE_EXHAUSTED_WITH_DETAILS', message: '' })),
    28,
    'fragmented',
    /IP_SPACE_EXHAUSTED/,
  ],
  ['went beyond a quota', json(operation('DONE', { code: 'QUOTA_EXCEEDED', message: '' })), 32, 'limit', /QUOTA/],
  ['met another', json(operation('DONE', { code: 'RESOURCE_NOT_READY', message: '' })), 32, 'conflict', /NOT_READY/],
  [
    'failed for what nobody knows',
    json(operation('DONE', { code: 'INTERNAL', message: '' })),
    32,
    'ambiguous',
    /INTERNAL/,
  ],
  ['cannot be asked for', errorAnswer(429, 'rateLimitExceeded'), 32, 'ambiguous', /the change was accepted/],
  ['is not there', errorAnswer(404, 'notFound'), 32, 'ambiguous', /the change was accepted/],
  ['gets no answer', 'cut', 32, 'ambiguous', /the change was accepted/],
  ['gets another answer', json({}), 32, 'ambiguous', /the change was accepted/],
]
for (const [what, wire, length, kind, words] of begun)
  test(`an operation that ${what} is ${kind}`, async () => {
    await using cloud = await serveGce({ ...keptInstance([]), [WAIT]: () => wire })
    await assert.rejects(cloud.provider.call(MACHINE, write(length), signal), { kind, message: words })
  })

test('throttling says when to come back', async () => {
  await using cloud = await serveGce({ 'GET instances/vm1': () => errorAnswer(429, 'rateLimitExceeded') })
  await assert.rejects(cloud.provider.call(MACHINE, write(32), signal), { kind: 'throttled', retryAfterMs: 7000 })
})

test('what cannot be read after a write is ambiguous: the write was made', async () => {
  let written = false
  await using cloud = await serveGce({
    'GET instances/vm1': () => (written ? errorAnswer(503, 'backendError') : json(instanceBody([]))),
    [PATCH]: () => ((written = true), json(operation('DONE'))),
  })
  await assert.rejects(cloud.provider.call(MACHINE, write(32), signal), {
    kind: 'ambiguous',
    message: /was written before/,
  })
})

test('an interface that is not there is gone', async () => {
  await using cloud = await serveGce(keptInstance([]))
  const call: Call = {
    kind: 'write',
    add: [{ nic: `${MACHINE.id}/nic7`, length: 32, family: 4, count: 1 }],
    remove: [],
  }
  await assert.rejects(cloud.provider.call(MACHINE, call, signal), { kind: 'gone', message: /nic7/ })
})

test('without credentials a call is denied before it is made', async () => {
  await using cloud = await serveGce({}, { ownToken: true })
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = '/nonexistent'
  try {
    await assert.rejects(cloud.provider.call(MACHINE, write(32), signal), { kind: 'denied', message: /no credentials/ })
  } finally {
    delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  }
  assert.deepEqual(cloud.asked(), [])
})

test('a service that is not there has done nothing, and whoever stops a write does not know', async () => {
  const cloud = await serveGce({ ...keptInstance([]), [PATCH]: () => 'silence' })
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

test('what Google has no call for is refused', async () => {
  await using cloud = await serveGce({})
  await assert.rejects(cloud.provider.call(MACHINE, { kind: 'protect', nic: NIC }, signal), { kind: 'invalid' })
})
