import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Wire } from '../../test/support/wire-server.ts'
import type { Machine } from '../cloud-core/provider.ts'
import {
  answer,
  CLASS,
  errorAnswer,
  filtersOf,
  type Form,
  groupsAnswer,
  MACHINE,
  nicsAnswer,
  OWN,
  returnTrue,
  serveEc2,
  subnetsAnswer,
} from './testdata/ec2.ts'

const signal = AbortSignal.timeout(60_000)
const noReservations = () => answer('GetSubnetCidrReservations', '<subnetIpv4CidrReservationSet/>')
const first = (machine: string) => ({
  id: machine.replace('i-', 'eni-'),
  address: '10.0.0.5',
  attachment: { machine, index: 0 },
})

test('a sweep reads all pages, machines 200 at a time, and what is attached to nothing by its tag', async () => {
  const machines: Machine[] = Array.from({ length: 201 }, (_, n) => ({ ...MACHINE, node: `n${n}`, id: `i-${n}` }))
  const pages = (form: Form) => {
    const filters = filtersOf(form)
    if (filters.startsWith('tag:')) return nicsAnswer([{ id: 'eni-left', address: '10.0.0.200', tags: OWN }])
    const ids = filters.slice(filters.indexOf('=') + 1).split(',')
    const token = form['NextToken'] ?? ''
    const half = token === '' ? ids.slice(0, 100) : ids.slice(100)
    return nicsAnswer(half.map(first), token === '' && ids.length > 100 ? 'more' : '')
  }
  await using cloud = await serveEc2({
    DescribeNetworkInterfaces: pages,
    DescribeSubnets: () => subnetsAnswer([{ id: 'subnet-1', free: 200, cidr6: '2600:1f13:dcb:8a00::/64' }]),
    GetSubnetCidrReservations: noReservations,
  })
  const { nics, subnets, missing } = await cloud.provider.sweep(machines, signal)
  assert.equal(nics.length, 202)
  assert.deepEqual(
    nics.filter(({ token }) => token !== '').map(({ id, status, node }) => [id, status, node]),
    [['eni-left', 'available', 'n1']],
  )
  assert.deepEqual(subnets, [
    {
      id: 'subnet-1',
      zone: 'eu-west-1a',
      cidrs: ['10.0.0.0/24', '2600:1f13:dcb:8a00::/64'],
      free: 200,
      forNics: true,
      reserved: [],
    },
  ])
  assert.deepEqual(missing, [])
  const asked = cloud.server.requests.filter(({ body }) => body.includes('DescribeNetworkInterfaces'))
  assert.equal(asked.length, 4)
  for (const { body } of asked) assert.match(body, /MaxResults=1000/)
})

test('subnets are those that classes choose by id and tags, with what is reserved in them, beside those in use', async () => {
  const subnets = { ids: ['subnet-3', 'subnet-9'], tags: { pods: 'yes', zone: 'a' } }
  let reservations = 0
  await using cloud = await serveEc2(
    {
      DescribeNetworkInterfaces: form => nicsAnswer(filtersOf(form).startsWith('tag:') ? [] : [first('i-0aaa')]),
      DescribeSubnets: form =>
        filtersOf(form) === 'tag:pods=yes tag:zone=a vpc-id=vpc-1'
          ? subnetsAnswer([{ id: 'subnet-2', free: 5 }])
          : subnetsAnswer([
              { id: 'subnet-1', free: 0 },
              { id: 'subnet-2', free: 5, cidr: '10.0.1.0/24' },
              { id: 'subnet-3', free: 7, cidr: '10.0.2.0/24' },
            ]),
      GetSubnetCidrReservations: form => {
        reservations++
        if (form['SubnetId'] !== 'subnet-2') return noReservations()
        const item = (cidr: string, kind: string) =>
          `<item><cidr>${cidr}</cidr><reservationType>${kind}</reservationType></item>`
        const set = `${item('10.0.1.128/25', 'prefix')}${item('10.0.1.0/28', 'explicit')}`
        return answer(
          'GetSubnetCidrReservations',
          `<subnetIpv4CidrReservationSet>${set}</subnetIpv4CidrReservationSet><subnetIpv6CidrReservationSet/>`,
        )
      },
    },
    { classes: [{ ...CLASS, subnets }] },
  )
  const swept = await cloud.provider.sweep([MACHINE], signal)
  assert.deepEqual(
    swept.subnets.map(({ id, free, forNics, reserved }) => [id, free, forNics, reserved]),
    [
      ['subnet-1', 0, false, []],
      [
        'subnet-2',
        5,
        true,
        [
          { cidr: '10.0.1.128/25', kind: 'prefix' },
          { cidr: '10.0.1.0/28', kind: 'explicit' },
        ],
      ],
      ['subnet-3', 7, true, []],
    ],
  )
  assert.deepEqual(swept.missing, ['subnet subnet-9 does not exist'])
  assert.deepEqual(cloud.provider.choices(MACHINE), ['subnet-3', 'subnet-2'])
  assert.deepEqual(cloud.provider.choices({ ...MACHINE, zone: 'eu-west-1b' }), [], 'none is in its zone')
  await cloud.provider.sweep([MACHINE], signal)
  assert.equal(reservations, 3, 'what is reserved is not asked for at every sweep')
})

test('tags that nothing has are missing: of subnets and of security groups', async () => {
  const tags = { pods: 'yes' }
  await using cloud = await serveEc2(
    {
      DescribeNetworkInterfaces: () => nicsAnswer([]),
      DescribeSubnets: () => subnetsAnswer([]),
      DescribeSecurityGroups: () => groupsAnswer([]),
    },
    { classes: [{ ...CLASS, name: 'class 1', subnets: { ids: [], tags }, securityGroups: { ids: ['sg-1'], tags } }] },
  )
  const { missing } = await cloud.provider.sweep([MACHINE], signal)
  assert.deepEqual(missing, [
    'security group sg-1 of class 1 does not exist',
    'no security group of class 1 has tags pods=yes',
    'no subnet of class 1 has tags pods=yes',
  ])
})

test('accounts and regions are swept apart, and a leftover is deleted where it was seen', async () => {
  const other = { ...CLASS, name: 'n2', roleArn: 'arn:aws:iam::444455556666:role/net' }
  const credentials = `<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
    <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>`
  await using cloud = await serveEc2(
    {
      AssumeRole: () => answer('AssumeRole', `<AssumeRoleResult>${credentials}</AssumeRoleResult>`),
      DescribeNetworkInterfaces: (form, { headers }) => {
        const role = headers['authorization']?.includes('ASIAROLE') === true
        if (!filtersOf(form).startsWith('tag:')) return nicsAnswer([])
        return nicsAnswer(role ? [{ id: 'eni-left', address: '10.0.0.200', tags: OWN }] : [])
      },
      DescribeSubnets: () => subnetsAnswer([{ id: 'subnet-1', free: 1 }]),
      GetSubnetCidrReservations: noReservations,
      DeleteNetworkInterface: returnTrue('DeleteNetworkInterface'),
    },
    { classes: [CLASS, other] },
  )
  const { nics } = await cloud.provider.sweep([MACHINE, { ...MACHINE, node: 'n2', zone: 'us-west-2-lax-1a' }], signal)
  assert.deepEqual(
    nics.map(({ id }) => id),
    ['eni-left'],
  )
  const nobody = { node: '', id: '', type: '', zone: '' }
  await cloud.provider.call(nobody, { kind: 'delete', nic: 'eni-left' }, signal)
  assert.match(cloud.server.requests.at(-1)?.headers['authorization'] ?? '', /ASIAROLE\/\d+\/us-west-2\/ec2\//)
})

test('an account that may not be looked at keeps nothing of the others from being seen', async () => {
  const other = { ...CLASS, name: 'n2', roleArn: 'arn:aws:iam::444455556666:role/net' }
  const body = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
    <Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`
  let own = (): Wire => nicsAnswer([first('i-0aaa')])
  await using cloud = await serveEc2(
    {
      AssumeRole: () => ({ status: 403, headers: { 'content-type': 'text/xml' }, body }),
      DescribeNetworkInterfaces: () => own(),
      DescribeSubnets: () => subnetsAnswer([{ id: 'subnet-1', free: 1 }]),
      GetSubnetCidrReservations: noReservations,
    },
    { classes: [CLASS, other] },
  )
  const machines = [MACHINE, { ...MACHINE, node: 'n2', id: 'i-0bbb' }]
  const swept = await cloud.provider.sweep(machines, signal)
  assert.deepEqual(swept.machines, ['i-0aaa'])
  assert.deepEqual(
    swept.nics.map(({ machine }) => machine),
    ['i-0aaa'],
  )
  assert.match(swept.missing?.join() ?? '', /^AssumeRole \(arn:aws:iam::444455556666:role\/net\): AccessDenied/)
  own = () => errorAnswer('RequestLimitExceeded')
  await assert.rejects(cloud.provider.sweep(machines, signal), { kind: 'throttled' })
  own = () => errorAnswer('UnauthorizedOperation', 'no', 403)
  await assert.rejects(cloud.provider.sweep(machines, signal), { kind: 'denied', message: /DescribeNetworkInterfaces/ })
})

test('where no zone and no configuration says the region, nothing is asked', async () => {
  await using cloud = await serveEc2({})
  const nowhere = { ...MACHINE, zone: '' }
  await assert.rejects(cloud.provider.call(nowhere, { kind: 'observe' }, signal), {
    kind: 'invalid',
    message: /region/,
  })
  assert.deepEqual((await cloud.provider.sweep([nowhere], signal)).machines, [])
  assert.equal(cloud.server.requests.length, 0)
})

test('without machines interfaces that were left are looked for in the region of the configuration', async () => {
  const answers = { DescribeNetworkInterfaces: () => nicsAnswer([{ id: 'eni-left', address: '10.0.0.9', tags: OWN }]) }
  const subnets = {
    DescribeSubnets: () => subnetsAnswer([{ id: 'subnet-1', free: 1 }]),
    GetSubnetCidrReservations: noReservations,
  }
  await using cloud = await serveEc2({ ...answers, ...subnets }, { region: 'eu-central-1' })
  const { nics } = await cloud.provider.sweep([], signal)
  assert.equal(nics.length, 1)
  assert.match(cloud.server.requests[0]?.headers['authorization'] ?? '', /\/eu-central-1\/ec2\//)
})
