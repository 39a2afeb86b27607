import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call, Reply } from '../cloud-core/model.ts'
import { AWS_BUDGETS } from '../cloud-core/memory/aws.ts'
import { BUDGETS } from './provider-apis.ts'
import {
  answer,
  type Answers,
  CLASS,
  filtersOf,
  type Form,
  groupsAnswer,
  MACHINE,
  type NicXml,
  nicsAnswer,
  nicXml,
  OWN,
  returnTrue,
  serveEc2,
} from './testdata/ec2.ts'

const signal = AbortSignal.timeout(60_000)
const FIRST: NicXml = { id: 'eni-1', address: '10.0.0.5', attachment: { machine: 'i-0aaa', index: 0 } }
const MADE: NicXml = { id: 'eni-2', address: '10.0.0.7', tags: OWN }

/** Filters first and then the words of a describing call: one that only finds what is asked for. */
const describe = (nics: readonly NicXml[]) => (form: Form) => {
  const filters = filtersOf(form)
  const free = filters.includes('status=available')
  return nicsAnswer(nics.filter(({ attachment }) => (free ? attachment === undefined : attachment !== undefined)))
}

const calls: readonly {
  readonly name: string
  readonly call: Call
  readonly answers: Answers
  /** The request that changes something. */
  readonly form: Form
  readonly blocks?: readonly string[]
}[] = [
  {
    name: 'prefixes are asked for by count',
    call: { kind: 'assign', nic: 'eni-1', length: 28, family: 4, count: 2 },
    answers: {
      AssignPrivateIpAddresses: () =>
        answer(
          'AssignPrivateIpAddresses',
          `<networkInterfaceId>eni-1</networkInterfaceId><assignedPrivateIpAddressesSet/><assignedIpv4PrefixSet>
          <item><ipv4Prefix>10.0.0.16/28</ipv4Prefix></item><item><ipv4Prefix>10.0.0.32/28</ipv4Prefix></item>
          </assignedIpv4PrefixSet><return>true</return>`,
        ),
    },
    form: { Action: 'AssignPrivateIpAddresses', NetworkInterfaceId: 'eni-1', Ipv4PrefixCount: '2' },
    blocks: ['10.0.0.16/28', '10.0.0.32/28'],
  },
  {
    name: 'secondary addresses are asked for by count',
    call: { kind: 'assign', nic: 'eni-1', length: 32, family: 4, count: 2 },
    answers: {
      AssignPrivateIpAddresses: () =>
        answer(
          'AssignPrivateIpAddresses',
          `<networkInterfaceId>eni-1</networkInterfaceId><assignedPrivateIpAddressesSet>
          <item><privateIpAddress>10.0.0.9</privateIpAddress></item>
          <item><privateIpAddress>10.0.0.11</privateIpAddress></item></assignedPrivateIpAddressesSet>`,
        ),
    },
    form: { Action: 'AssignPrivateIpAddresses', NetworkInterfaceId: 'eni-1', SecondaryPrivateIpAddressCount: '2' },
    blocks: ['10.0.0.9/32', '10.0.0.11/32'],
  },
  {
    name: 'a prefix of IPv6 has a call of its own',
    call: { kind: 'assign', nic: 'eni-1', length: 80, family: 6, count: 1 },
    answers: {
      AssignIpv6Addresses: () =>
        answer(
          'AssignIpv6Addresses',
          `<networkInterfaceId>eni-1</networkInterfaceId><assignedIpv6PrefixSet>
          <item>2600:1f13:dcb:8a00:16c3:0:0:0/80</item></assignedIpv6PrefixSet>`,
        ),
    },
    form: { Action: 'AssignIpv6Addresses', NetworkInterfaceId: 'eni-1', Ipv6PrefixCount: '1' },
    blocks: ['2600:1f13:dcb:8a00:16c3::/80'],
  },
  {
    name: 'addresses are given back by name',
    call: { kind: 'release', nic: 'eni-1', blocks: ['10.0.0.9/32', '10.0.0.11/32'] },
    answers: { UnassignPrivateIpAddresses: returnTrue('UnassignPrivateIpAddresses') },
    form: {
      Action: 'UnassignPrivateIpAddresses',
      NetworkInterfaceId: 'eni-1',
      'PrivateIpAddress.1': '10.0.0.9',
      'PrivateIpAddress.2': '10.0.0.11',
    },
  },
  {
    name: 'prefixes are given back as such',
    call: { kind: 'release', nic: 'eni-1', blocks: ['10.0.0.16/28'] },
    answers: { UnassignPrivateIpAddresses: returnTrue('UnassignPrivateIpAddresses') },
    form: { Action: 'UnassignPrivateIpAddresses', NetworkInterfaceId: 'eni-1', 'Ipv4Prefix.1': '10.0.0.16/28' },
  },
  {
    name: 'prefixes of IPv6 are given back by a call of its own',
    call: { kind: 'release', nic: 'eni-1', blocks: ['2600:1f13:dcb:8a00:16c3::/80'] },
    answers: { UnassignIpv6Addresses: returnTrue('UnassignIpv6Addresses') },
    form: {
      Action: 'UnassignIpv6Addresses',
      NetworkInterfaceId: 'eni-1',
      'Ipv6Prefix.1': '2600:1f13:dcb:8a00:16c3::/80',
    },
  },
  {
    name: 'an interface is attached where the core says',
    call: { kind: 'attach', nic: 'eni-2', index: 1, token: 't1' },
    answers: {
      AttachNetworkInterface: () =>
        answer(
          'AttachNetworkInterface',
          '<attachmentId>eni-attach-2</attachmentId><networkCardIndex>0</networkCardIndex>',
        ),
    },
    form: { Action: 'AttachNetworkInterface', InstanceId: 'i-0aaa', NetworkInterfaceId: 'eni-2', DeviceIndex: '1' },
  },
  {
    name: 'an interface is protected through what it is attached by, which is found out first',
    call: { kind: 'protect', nic: 'eni-2' },
    answers: {
      DescribeNetworkInterfaces: describe([{ ...MADE, attachment: { machine: 'i-0aaa', index: 1, deleted: false } }]),
      ModifyNetworkInterfaceAttribute: returnTrue('ModifyNetworkInterfaceAttribute'),
    },
    form: {
      Action: 'ModifyNetworkInterfaceAttribute',
      NetworkInterfaceId: 'eni-2',
      'Attachment.AttachmentId': 'eni-attach-2',
      'Attachment.DeleteOnTermination': 'true',
    },
  },
  {
    name: 'an interface is detached through what it is attached by',
    call: { kind: 'detach', nic: 'eni-2' },
    answers: {
      DescribeNetworkInterfaces: describe([{ ...MADE, attachment: { machine: 'i-0aaa', index: 1 } }]),
      DetachNetworkInterface: returnTrue('DetachNetworkInterface'),
    },
    form: { Action: 'DetachNetworkInterface', AttachmentId: 'eni-attach-2' },
  },
  {
    name: 'an interface is deleted',
    call: { kind: 'delete', nic: 'eni-2' },
    answers: { DeleteNetworkInterface: returnTrue('DeleteNetworkInterface') },
    form: { Action: 'DeleteNetworkInterface', NetworkInterfaceId: 'eni-2' },
  },
]
for (const { name, call, answers, form, blocks } of calls)
  test(name, async () => {
    await using cloud = await serveEc2(answers)
    const reply = await cloud.provider.call(MACHINE, call, signal)
    assert.deepEqual(cloud.forms().at(-1), form)
    assert.deepEqual(reply.nics[0]?.blocks, blocks)
    for (const request of cloud.server.requests) {
      assert.equal(request.method, 'POST')
      assert.match(
        request.headers['authorization'] ?? '',
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d+\/eu-west-1\/ec2\//,
      )
    }
  })

test('what is given back of several kinds takes a call each; when a later one fails, nobody knows what was done', async () => {
  await using cloud = await serveEc2({
    UnassignPrivateIpAddresses: form =>
      form['Ipv4Prefix.1'] === undefined ? returnTrue('UnassignPrivateIpAddresses')() : { status: 503 },
  })
  const call: Call = { kind: 'release', nic: 'eni-1', blocks: ['10.0.0.16/28', '10.0.0.9/32'] }
  await assert.rejects(cloud.provider.call(MACHINE, call, signal), { kind: 'ambiguous', message: /other blocks/ })
  assert.equal(cloud.server.requests.length, 2)
})

const CREATE: Call = { kind: 'create', token: 't1', subnet: 'subnet-2', length: 28, count: 3 }
const created = () =>
  answer(
    'CreateNetworkInterface',
    `<networkInterface>${nicXml({ ...MADE, subnet: 'subnet-2', status: 'pending', tags: {}, prefixes: ['10.0.1.16/28'] })}
    </networkInterface>`,
  )

test('an interface is made with its blocks, its token and the security groups of the first one', async () => {
  await using cloud = await serveEc2({
    DescribeNetworkInterfaces: describe([{ ...FIRST, groups: ['sg-1', 'sg-2'] }]),
    CreateNetworkInterface: created,
  })
  const reply = await cloud.provider.call(MACHINE, CREATE, signal)
  assert.deepEqual(cloud.forms().at(-1), {
    Action: 'CreateNetworkInterface',
    ClientToken: 't1',
    Description: 'Causeway: addresses of pods of n1',
    Ipv4PrefixCount: '3',
    'SecurityGroupId.1': 'sg-1',
    'SecurityGroupId.2': 'sg-2',
    SubnetId: 'subnet-2',
    'TagSpecification.1.ResourceType': 'network-interface',
    'TagSpecification.1.Tag.1.Key': 'causeway.dev/cluster',
    'TagSpecification.1.Tag.1.Value': 'c1',
    'TagSpecification.1.Tag.2.Key': 'causeway.dev/node',
    'TagSpecification.1.Tag.2.Value': 'n1',
    'TagSpecification.1.Tag.3.Key': 'causeway.dev/token',
    'TagSpecification.1.Tag.3.Value': 't1',
  })
  const { nics } = reply satisfies Reply
  assert.deepEqual(nics, [
    {
      id: 'eni-2',
      mac: '02:74:b0:72:79:61',
      subnet: 'subnet-2',
      status: 'available',
      machine: '',
      index: -1,
      deletedWithMachine: false,
      forPods: true,
      token: 't1',
      node: 'n1',
      addresses: ['10.0.0.7'],
      blocks: ['10.0.1.16/28'],
    },
  ])
})

test('security groups that a class chooses by tags are those in the network of the machine', async () => {
  const securityGroups = { ids: ['sg-8'], tags: { pods: 'yes' } }
  await using cloud = await serveEc2(
    {
      DescribeNetworkInterfaces: describe([FIRST]),
      DescribeSecurityGroups: form =>
        filtersOf(form) === 'group-id=sg-8'
          ? groupsAnswer([{ id: 'sg-8', vpc: 'vpc-1' }])
          : groupsAnswer([
              { id: 'sg-9', vpc: 'vpc-1' },
              { id: 'sg-10', vpc: 'vpc-2' },
            ]),
      CreateNetworkInterface: created,
    },
    { classes: [{ ...CLASS, securityGroups }] },
  )
  await cloud.provider.call(MACHINE, CREATE, signal)
  const form = cloud.forms().at(-1) ?? {}
  assert.deepEqual(
    [form['SecurityGroupId.1'], form['SecurityGroupId.2'], form['SecurityGroupId.3']],
    ['sg-8', 'sg-9', undefined],
  )
})

test('without any of the chosen security groups no interface is made, and the failure names them', async () => {
  const securityGroups = { ids: [], tags: { pods: 'yes' } }
  await using cloud = await serveEc2(
    { DescribeNetworkInterfaces: describe([FIRST]), DescribeSecurityGroups: () => groupsAnswer([]) },
    { classes: [{ ...CLASS, securityGroups }] },
  )
  await assert.rejects(cloud.provider.call(MACHINE, CREATE, signal), { kind: 'invalid', message: /pods=yes.*vpc-1/ })
})

test('a look at a machine shows its interfaces and those made for its node, and what each of them is', async () => {
  await using cloud = await serveEc2({
    DescribeNetworkInterfaces: describe([
      { ...FIRST, secondaries: ['10.0.0.9'], prefixes: ['10.0.0.16/28'], prefixes6: ['2600:1f13:dcb:8a00:16c3::/80'] },
      { id: 'eni-3', address: '10.0.0.8', attachment: { machine: 'i-0aaa', index: 1 } },
      { ...MADE, id: 'eni-4', attachment: { machine: 'i-0aaa', index: 2, deleted: false, status: 'attaching' } },
      { ...MADE, id: 'eni-5', type: 'trunk', attachment: { machine: 'i-0aaa', index: 3 } },
      { id: 'eni-6', address: '10.0.0.9', attachment: { machine: 'i-0aaa', index: 1, card: 1 } },
      {
        ...MADE,
        id: 'eni-7',
        tags: { ...OWN, 'causeway.dev/cluster': 'c2' },
        attachment: { machine: 'i-0aaa', index: 4 },
      },
      MADE,
    ]),
  })
  const { nics } = await cloud.provider.call(MACHINE, { kind: 'observe' }, signal)
  const shown = nics.map(nic =>
    [nic.id, nic.status, nic.index, nic.forPods, nic.token, nic.deletedWithMachine].join(' '),
  )
  assert.deepEqual(shown, [
    'eni-1 attached 0 true  true',
    'eni-3 attached 1 false  true',
    'eni-4 attaching 2 true t1 false',
    'eni-5 attached 3 false t1 true',
    'eni-7 attached 4 false  true',
    'eni-2 available -1 true t1 false',
  ])
  assert.deepEqual(nics[0]?.addresses, ['10.0.0.5'])
  assert.deepEqual(nics[0]?.blocks, ['10.0.0.9/32', '10.0.0.16/28', '2600:1f13:dcb:8a00:16c3::/80'])
  assert.deepEqual(cloud.forms().map(filtersOf).sort(), [
    'attachment.instance-id=i-0aaa',
    'tag:causeway.dev/cluster=c1 tag:causeway.dev/node=n1 status=available',
  ])
})

test('what the last look has shown is not asked for again', async () => {
  await using cloud = await serveEc2({
    DescribeNetworkInterfaces: describe([{ ...MADE, attachment: { machine: 'i-0aaa', index: 1 } }]),
    DetachNetworkInterface: returnTrue('DetachNetworkInterface'),
  })
  await cloud.provider.call(MACHINE, { kind: 'observe' }, signal)
  await cloud.provider.call(MACHINE, { kind: 'detach', nic: 'eni-2' }, signal)
  assert.deepEqual(
    cloud.forms().map(form => form['Action']),
    ['DescribeNetworkInterfaces', 'DescribeNetworkInterfaces', 'DetachNetworkInterface'],
  )
})

test('a role is taken on for a node of its class, once for many calls, with what it was given', async () => {
  const role = { ...CLASS, name: 'n1', roleArn: 'arn:aws:iam::444455556666:role/net', externalId: 'x1' }
  const assumed = () => ({
    headers: { 'content-type': 'text/xml' },
    body: `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
      <Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
      <SessionToken>session</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
      </AssumeRoleResult></AssumeRoleResponse>`,
  })
  await using cloud = await serveEc2(
    { DeleteNetworkInterface: returnTrue('DeleteNetworkInterface'), AssumeRole: assumed },
    { classes: [role, CLASS] },
  )
  for (const nic of ['eni-2', 'eni-3']) await cloud.provider.call(MACHINE, { kind: 'delete', nic }, signal)
  const [sts, first, second] = cloud.server.requests
  assert.deepEqual(cloud.forms()[0], {
    Action: 'AssumeRole',
    RoleArn: role.roleArn,
    RoleSessionName: 'causeway-operator',
    DurationSeconds: '3600',
    ExternalId: 'x1',
  })
  assert.match(sts?.headers['authorization'] ?? '', /AKIDEXAMPLE.*\/sts\//)
  for (const request of [first, second]) {
    assert.match(request?.headers['authorization'] ?? '', /ASIAROLE.*\/ec2\//)
    assert.equal(request?.headers['x-amz-security-token'], 'session')
  }
  assert.equal(cloud.server.requests.length, 3)
})

const TYPES: readonly (readonly [what: string, xml: string, want: object])[] = [
  [
    'of the Nitro system has prefixes',
    '<hypervisor>nitro</hypervisor>',
    { nics: 3, slots: 9, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false },
  ],
  [
    'without a hypervisor has prefixes',
    '<bareMetal>true</bareMetal>',
    { nics: 3, slots: 9, lengths: { 4: [28, 32], 6: [80] }, wholeWrites: false },
  ],
  [
    'on Xen has none',
    '<hypervisor>xen</hypervisor>',
    { nics: 3, slots: 9, lengths: { 4: [32], 6: [] }, wholeWrites: false },
  ],
]
for (const [what, xml, want] of TYPES)
  test(`a type ${what}, and is asked for once`, async () => {
    await using cloud = await serveEc2({
      DescribeInstanceTypes: () =>
        answer(
          'DescribeInstanceTypes',
          `<instanceTypeSet><item><instanceType>m5.large</instanceType>${xml}<networkInfo>
          <maximumNetworkInterfaces>4</maximumNetworkInterfaces><defaultNetworkCardIndex>0</defaultNetworkCardIndex>
          <networkCards><item><networkCardIndex>0</networkCardIndex>
          <maximumNetworkInterfaces>3</maximumNetworkInterfaces></item></networkCards>
          <ipv4AddressesPerInterface>10</ipv4AddressesPerInterface><ipv6Supported>true</ipv6Supported></networkInfo>
          </item></instanceTypeSet>`,
        ),
    })
    const both = await Promise.all([cloud.provider.limits(MACHINE, signal), cloud.provider.limits(MACHINE, signal)])
    for (const limits of both) assert.deepEqual(limits, want)
    assert.deepEqual(cloud.forms().length, 1)
    assert.equal(cloud.forms()[0]?.['InstanceType.1'], 'm5.large')
  })

test('a type that could not be found out is asked for again', async () => {
  let asked = 0
  await using cloud = await serveEc2({ DescribeInstanceTypes: () => (asked++, { status: 503 }) })
  for (const n of [1, 2]) {
    await assert.rejects(cloud.provider.limits(MACHINE, signal), { kind: 'unreachable' })
    assert.equal(asked, n)
  }
  await assert.rejects(cloud.provider.limits({ ...MACHINE, type: '' }, signal), { kind: 'invalid', message: /type/ })
})

test('budgets are those of the cloud in memory', () => {
  const { write: _none, ...budgets } = BUDGETS
  const { write: _nothing, ...memory } = AWS_BUDGETS
  assert.deepEqual(budgets, memory)
})
