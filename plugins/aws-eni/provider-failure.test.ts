import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call, FailureKind } from '../cloud-core/model.ts'
import type { Wire } from '../../test/support/wire-server.ts'
import { CLASS, errorAnswer, MACHINE, serveEc2 } from './testdata/ec2.ts'

const signal = AbortSignal.timeout(60_000)
const ASSIGN: Call = { kind: 'assign', nic: 'eni-1', length: 28, family: 4, count: 2 }
const XML = { 'content-type': 'text/xml' }

/** What becomes of a change and of a look. */
const cases: readonly (readonly [what: string, wire: Wire, change: FailureKind, look: FailureKind, words: RegExp])[] = [
  ['throttling', errorAnswer('RequestLimitExceeded'), 'throttled', 'throttled', /RequestLimitExceeded/],
  ['too many requests', { status: 429, headers: XML }, 'throttled', 'throttled', /./],
  ['a full subnet', errorAnswer('InsufficientFreeAddressesInSubnet'), 'full', 'full', /InsufficientFree/],
  ['a fragmented subnet', errorAnswer('InsufficientCidrBlocks'), 'fragmented', 'fragmented', /InsufficientCidr/],
  ['a full interface', errorAnswer('PrivateIpAddressLimitExceeded'), 'limit', 'limit', /LimitExceeded/],
  ['a full machine', errorAnswer('AttachmentLimitExceeded'), 'limit', 'limit', /LimitExceeded/],
  [
    'a used up quota',
    errorAnswer('NetworkInterfaceLimitExceeded'),
    'limit',
    'limit',
    /quota "Network interfaces per Region"/,
  ],
  ['an interface that is gone', errorAnswer('InvalidNetworkInterfaceID.NotFound'), 'gone', 'gone', /NotFound/],
  ['a machine that is gone', errorAnswer('InvalidInstanceID.NotFound'), 'gone', 'gone', /NotFound/],
  [
    'an address that is not there',
    errorAnswer('InvalidParameterValue', 'Some of the specified addresses are not assigned to interface eni-1'),
    'gone',
    'gone',
    /not assigned/,
  ],
  ['an interface in use', errorAnswer('InvalidNetworkInterface.InUse'), 'conflict', 'conflict', /InUse/],
  [
    'an index in use',
    errorAnswer('InvalidParameterValue', "Instance 'i-1' already has an interface attached at device index '1'."),
    'conflict',
    'conflict',
    /device index/,
  ],
  ['an unknown subnet', errorAnswer('InvalidSubnetID.NotFound'), 'invalid', 'invalid', /InvalidSubnetID/],
  ['an unknown security group', errorAnswer('InvalidGroup.NotFound'), 'invalid', 'invalid', /InvalidGroup/],
  ['another request with that token', errorAnswer('IdempotentParameterMismatch'), 'invalid', 'invalid', /Mismatch/],
  ['a call that nobody knows', errorAnswer('InvalidAction'), 'invalid', 'invalid', /InvalidAction/],
  [
    'wrong credentials',
    errorAnswer('AuthFailure', 'not valid', 401),
    'denied',
    'denied',
    /credentials are not accepted/,
  ],
  ['a wrong clock', errorAnswer('RequestExpired'), 'unreachable', 'unreachable', /RequestExpired/],
  ['an error inside', errorAnswer('InternalError', 'oops', 500), 'ambiguous', 'unreachable', /InternalError: oops/],
  ['no service', errorAnswer('Unavailable', 'overloaded', 503), 'ambiguous', 'unreachable', /Unavailable/],
  ['a gateway', { status: 502, body: '<html>Bad Gateway</html>' }, 'ambiguous', 'unreachable', /status 502/],
  ['a page', { headers: { 'content-type': 'text/html' }, body: '<html>' }, 'ambiguous', 'invalid', /none of EC2's/],
  [
    'half an answer',
    { headers: XML, body: '<DescribeNetworkInterfacesResponse><networkInterfaceSet><item><netw' },
    'ambiguous',
    'invalid',
    /cannot be read/,
  ],
  ['another answer', { headers: XML, body: '<Other><a>1</a></Other>' }, 'ambiguous', 'invalid', /cannot be read/],
  [
    'an interface without a name',
    {
      headers: XML,
      body: '<AnyResponse><networkInterfaceSet><item><macAddress>1</macAddress></item></networkInterfaceSet></AnyResponse>',
    },
    'ambiguous',
    'invalid',
    /cannot be read: (NetworkInterfaceId is missing|it names no address)/,
  ],
  ['no words', { headers: XML, body: '' }, 'ambiguous', 'invalid', /cannot be read/],
  ['an end of the connection', 'cut', 'ambiguous', 'unreachable', /no answer/],
  ['silence', 'silence', 'ambiguous', 'unreachable', /no answer.*(250 ms|abort)/],
]
for (const [what, wire, change, look, words] of cases)
  test(`${what} makes a change ${change} and a look ${look}, after one attempt`, async () => {
    const answers = { AssignPrivateIpAddresses: () => wire, DescribeNetworkInterfaces: () => wire }
    await using cloud = await serveEc2(answers, { timeoutMs: 250 })
    await assert.rejects(cloud.provider.call(MACHINE, ASSIGN, signal), {
      code: 'CLOUD_FAILURE',
      kind: change,
      message: words,
    })
    const about = /^AssignPrivateIpAddresses \(2 of \/28 for eni-1, node n1\): /
    await assert.rejects(cloud.provider.call(MACHINE, ASSIGN, signal), { message: about })
    assert.equal(cloud.server.requests.length, 2)
    await assert.rejects(cloud.provider.call(MACHINE, { kind: 'observe' }, signal), { kind: look, message: words })
    await assert.rejects(cloud.provider.sweep([MACHINE], signal), { kind: look })
  })

const done: readonly Call[] = [
  { kind: 'release', nic: 'eni-1', blocks: ['10.0.0.9/32'] },
  { kind: 'delete', nic: 'eni-1' },
]
for (const call of done)
  test(`a page of something else does not count as the answer that a ${call.kind} was done`, async () => {
    const page = (): Wire => ({ headers: { 'content-type': 'text/html; charset=utf-8' }, body: '<html>' })
    await using cloud = await serveEc2({ UnassignPrivateIpAddresses: page, DeleteNetworkInterface: page })
    await assert.rejects(cloud.provider.call(MACHINE, call, signal), { kind: 'ambiguous' })
  })

test('a denied call names the statement that the policy lacks, without what only AWS can decode', async () => {
  const words = 'You are not authorized to perform this operation. Encoded authorization failure message: abcDEF'
  await using cloud = await serveEc2({
    AssignPrivateIpAddresses: () => errorAnswer('UnauthorizedOperation', words, 403),
  })
  await assert.rejects(cloud.provider.call(MACHINE, ASSIGN, signal), {
    kind: 'denied',
    message:
      'AssignPrivateIpAddresses (2 of /28 for eni-1, node n1): UnauthorizedOperation: You are not authorized to perform this ' +
      'operation.; the policy lacks {"Sid":"CausewayAddresses","Effect":"Allow","Action":["ec2:AssignPrivateIpAddresses"],' +
      '"Resource":"arn:*:ec2:*:*:network-interface/*"}',
  })
})

test('a role that may not be taken on is named with the statement for it', async () => {
  const role = { ...CLASS, roleArn: 'arn:aws:iam::444455556666:role/net' }
  const body = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
    <Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`
  await using cloud = await serveEc2({ AssumeRole: () => ({ status: 403, headers: XML, body }) }, { classes: [role] })
  await assert.rejects(cloud.provider.call(MACHINE, ASSIGN, signal), {
    kind: 'denied',
    message: /^AssumeRole \(arn:aws:iam::444455556666:role\/net\): AccessDenied: .*"sts:AssumeRole".*role\/net/,
  })
})

test('without credentials a call is denied before it is made', async () => {
  await using cloud = await serveEc2({})
  delete process.env['AWS_ACCESS_KEY_ID']
  await assert.rejects(cloud.provider.call(MACHINE, ASSIGN, signal), { kind: 'denied', message: /no credentials/ })
  assert.equal(cloud.server.requests.length, 0)
})

test('a service that is not there has done nothing', async () => {
  const cloud = await serveEc2({})
  await cloud.server[Symbol.asyncDispose]()
  await assert.rejects(cloud.provider.call(MACHINE, ASSIGN, signal), { kind: 'unreachable', message: /ECONNREFUSED/ })
  await cloud.provider.close()
})

test('whoever stops a change does not know whether it was made', async () => {
  await using cloud = await serveEc2({ AssignPrivateIpAddresses: () => 'silence' })
  const stop = new AbortController()
  const made = cloud.provider.call(MACHINE, ASSIGN, stop.signal)
  stop.abort(new Error('no answer after 30 s'))
  await assert.rejects(made, { kind: 'ambiguous', message: /no answer after 30 s/ })
})

test('what EC2 has no call for is refused', async () => {
  await using cloud = await serveEc2({})
  const call: Call = { kind: 'write', add: [], remove: [] }
  await assert.rejects(cloud.provider.call(MACHINE, call, signal), { kind: 'invalid' })
})
