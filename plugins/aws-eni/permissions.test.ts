import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call } from '../cloud-core/model.ts'
import { awsPermissions, statements, statementsFor } from './permissions.ts'
import { APIS } from './provider-apis.ts'
import {
  answer,
  CLASS,
  filtersOf,
  groupsAnswer,
  MACHINE,
  nicsAnswer,
  nicXml,
  OWN,
  returnTrue,
  serveEc2,
  subnetsAnswer,
} from './testdata/ec2.ts'

const signal = AbortSignal.timeout(60_000)

test('the policy has the permission of every call that the provider makes at the wire, and no other', async () => {
  const nics = [{ id: 'eni-1', address: '10.0.0.5', attachment: { machine: 'i-0aaa', index: 0 } }]
  const tags = { pods: 'yes' }
  await using cloud = await serveEc2(
    {
      DescribeNetworkInterfaces: form => nicsAnswer(filtersOf(form).includes('available') ? [] : nics),
      DescribeSubnets: () => subnetsAnswer([{ id: 'subnet-1', free: 1 }]),
      GetSubnetCidrReservations: () => answer('GetSubnetCidrReservations', '<subnetIpv4CidrReservationSet/>'),
      DescribeSecurityGroups: () => groupsAnswer([{ id: 'sg-1', vpc: 'vpc-1' }]),
      DescribeInstanceTypes: () => answer('DescribeInstanceTypes', '<instanceTypeSet/>'),
      AssignPrivateIpAddresses: () => answer('AssignPrivateIpAddresses', '<return>true</return>'),
      AssignIpv6Addresses: () => answer('AssignIpv6Addresses', '<return>true</return>'),
      UnassignPrivateIpAddresses: returnTrue('UnassignPrivateIpAddresses'),
      UnassignIpv6Addresses: returnTrue('UnassignIpv6Addresses'),
      CreateNetworkInterface: () =>
        answer(
          'CreateNetworkInterface',
          `<networkInterface>${nicXml({ id: 'eni-2', address: '10.0.0.7', tags: OWN })}</networkInterface>`,
        ),
      AttachNetworkInterface: () => answer('AttachNetworkInterface', '<attachmentId>eni-attach-2</attachmentId>'),
      ModifyNetworkInterfaceAttribute: returnTrue('ModifyNetworkInterfaceAttribute'),
      DetachNetworkInterface: returnTrue('DetachNetworkInterface'),
      DeleteNetworkInterface: returnTrue('DeleteNetworkInterface'),
    },
    { classes: [{ ...CLASS, subnets: { ids: [], tags }, securityGroups: { ids: [], tags } }] },
  )
  const calls: Call[] = [
    { kind: 'observe' },
    { kind: 'assign', nic: 'eni-1', length: 28, family: 4, count: 1 },
    { kind: 'assign', nic: 'eni-1', length: 80, family: 6, count: 1 },
    { kind: 'release', nic: 'eni-1', blocks: ['10.0.0.9/32', '2600:1f13:dcb:8a00:16c3::/80'] },
    { kind: 'create', token: 't1', subnet: 'subnet-1', length: 28, count: 1 },
    { kind: 'attach', nic: 'eni-2', index: 1, token: 't1' },
    { kind: 'protect', nic: 'eni-2' },
    { kind: 'detach', nic: 'eni-2' },
    { kind: 'delete', nic: 'eni-2' },
  ]
  for (const call of calls) await cloud.provider.call(MACHINE, call, signal).catch(() => undefined)
  await cloud.provider.sweep([MACHINE], signal)
  await cloud.provider.limits(MACHINE, signal).catch(() => undefined)
  const made = new Set(cloud.forms().map(form => `ec2:${form['Action']}`))
  const allowed = new Set(statements({}).flatMap(({ Action }) => Action))
  // Tags are given while an interface is made, which has a permission of its own.
  assert.deepEqual([...allowed].sort(), [...made, 'ec2:CreateTags'].sort())
})

test('with the name of a cluster only its interfaces can be attached, detached or deleted', () => {
  const policy = JSON.parse(awsPermissions({ cluster: 'c1', roleArns: ['arn:aws:iam::4:role/net'] })) as {
    readonly Version: string
    readonly Statement: readonly Readonly<Record<string, unknown>>[]
  }
  assert.equal(policy.Version, '2012-10-17')
  const own = { StringLike: { 'aws:ResourceTag/causeway.dev/cluster': 'c1' } }
  const conditions = Object.fromEntries(policy.Statement.map(({ Sid, Condition }) => [Sid, Condition]))
  assert.deepEqual(conditions, {
    CausewayRead: undefined,
    CausewayAddresses: undefined,
    CausewayCreate: { StringLike: { 'aws:RequestTag/causeway.dev/cluster': 'c1' } },
    CausewayCreateIn: undefined,
    CausewayTagWhatIsCreated: { StringEquals: { 'ec2:CreateAction': 'CreateNetworkInterface' } },
    CausewayAttachment: own,
    CausewayAttachmentTo: undefined,
    CausewayDelete: own,
    CausewayOtherAccounts: undefined,
  })
  assert.deepEqual(policy.Statement.at(-1)?.['Resource'], ['arn:aws:iam::4:role/net'])
})

test('every call has a statement to name to whoever is denied it', () => {
  for (const { name } of Object.values(APIS)) assert.match(statementsFor(name, {}), new RegExp(`"ec2:${name}"`))
  assert.match(statementsFor('CreateNetworkInterface', {}), /ec2:CreateTags/)
})
