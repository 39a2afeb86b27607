/** `causeway ipam` and what stands beside it, as people and programs read them. */
import assert from 'node:assert/strict'
import { mkdtempDisposableSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { parse } from 'yaml'
import { FakeLog } from '../../../test/support/fake-log.ts'
import { noPrograms } from '../../../test/support/no-programs.ts'
import { Router } from '../../api/router.ts'
import { serveApi } from '../../api/server.ts'
import type { IpamStatus } from '../../operator/cloud/ipam-status.ts'
import { runCli } from '../cli.ts'
import { commands } from '../commands.ts'
import { type Programs, realPrograms } from '../programs.ts'

const NODE = {
  machine: 'i-1',
  interfaces: 2,
  addresses: { allocatable: 32, draining: 16, releasing: 16 },
  has: 32,
  demand: { assigned: 20, waiting: 0, cooling: 1 },
  calls: [],
}
const status: IpamStatus = {
  provider: 'aws',
  mode: 'no releases',
  failure: 'AssignPrivateIpAddresses (…): no answer',
  budgets: [{ name: 'AssignPrivateIpAddresses', calls: 3, perSecond: 2.375 }],
  subnets: [
    { id: 'subnet-1', zone: 'z', free: 0, fullSeconds: 90 },
    { id: 'subnet-2', zone: 'z', free: 40, fragmentedSeconds: 7 },
    { id: 'subnet-3', zone: 'z', free: 250 },
  ],
  leftovers: 2,
  nodes: [
    {
      ...NODE,
      name: 'a',
      demand: { assigned: 32, waiting: 4, cooling: 0 },
      waitingSeconds: 3,
      calls: ['assign', 'create'],
    },
    { ...NODE, name: 'b', shortage: 'machine' },
    { ...NODE, name: 'c', failure: 'DescribeInstanceTypes (type t): denied' },
    { ...NODE, name: 'd' },
  ],
}

async function serve(t: TestContext): Promise<string> {
  const router = new Router().add('GET', '/v1/ipam', () => ({ json: status }))
  const server = await serveApi({ host: '127.0.0.1', port: 0 }, router, new FakeLog())
  t.after(() => server[Symbol.asyncDispose]())
  return server.address
}

async function run(...args: readonly string[]) {
  let [out, err] = ['', '']
  const programs: Programs = {
    ...noPrograms,
    permissions: (...of) => realPrograms.permissions(...of),
    simulate: (...of) => realPrograms.simulate(...of),
  }
  const terminal = { env: {}, isTty: false, signal: new AbortController().signal, programs, args: ['ipam', ...args] }
  const code = await runCli({ ...terminal, out: text => void (out += text), err: text => void (err += text) }, commands)
  return { code, out, err }
}

test('people see what is wrong first, and which node lacks what', async t => {
  const address = await serve(t)
  assert.deepEqual(await run('--address', address), {
    code: 0,
    err: '',
    out: `cloud       aws
mode        no releases: the cloud answers with errors
last error  AssignPrivateIpAddresses (…): no answer
nodes       4, pods wait on 1
leftovers   2 interfaces to be deleted

SUBNET    ZONE  FREE  STATE
subnet-1  z     0     full, asked again in 90 s
subnet-2  z     40    no whole prefix, asked again in 7 s
subnet-3  z     250

BUDGET                    CALLS LEFT  A SECOND
AssignPrivateIpAddresses  3           2.4

NODE  MACHINE  INTERFACES  HAS  USED  WAITING    COOLING  GIVING BACK  CALLS           PROBLEM
a     i-1      2           32   32    4 for 3 s  0        32           assign, create
b     i-1      2           32   20    0          1        32                           no more from the machine
c     i-1      2           32   20    0          1        32                           DescribeInstanceTypes (type t): denied
`,
  })
  assert.match((await run('--address', address, '--nodes')).out, /^d {5}i-1/m)
})

test('JSON has everything', async t => {
  const address = await serve(t)
  assert.deepEqual(JSON.parse((await run('--address', address, '-o', 'json')).out), status)
})

test('an operator that does not lead is said to be that', async t => {
  const router = new Router()
  const server = await serveApi({ host: '127.0.0.1', port: 0 }, router, new FakeLog())
  t.after(() => server[Symbol.asyncDispose]())
  assert.notEqual((await run('--address', server.address)).code, 0)
})

test('the policy of AWS is for one cluster and its roles, as the document that IAM takes', async () => {
  const role = 'arn:aws:iam::123456789012:role/net'
  const { code, out } = await run('permissions', '--cloud', 'aws', '--cluster', 'c1', '--role', role)
  assert.equal(code, 0)
  const policy = JSON.parse(out) as {
    readonly Statement: readonly { readonly Action: string[]; readonly Resource: unknown }[]
  }
  const actions = policy.Statement.flatMap(({ Action }) => Action)
  for (const action of ['ec2:AssignPrivateIpAddresses', 'ec2:CreateNetworkInterface', 'sts:AssumeRole'])
    assert.ok(actions.includes(action), action)
  assert.deepEqual(policy.Statement.at(-1)?.Resource, [role])
  assert.ok(out.includes('"aws:ResourceTag/causeway.dev/cluster": "c1"'))
  assert.deepEqual(
    parse((await run('permissions', '--cloud', 'aws', '-o', 'yaml', '--cluster', 'c1', '--role', role)).out),
    policy,
  )
})

test('the roles of Azure and Google are what their tools take', async () => {
  const scope = '/subscriptions/s1'
  const azure = JSON.parse((await run('permissions', '--cloud', 'azure', '--scope', scope)).out) as Record<
    string,
    unknown
  >
  assert.deepEqual(azure['AssignableScopes'], [scope])
  assert.ok((azure['Actions'] as string[]).every(action => action.startsWith('Microsoft.')))
  const gcp = parse((await run('permissions', '--cloud', 'gcp')).out) as Record<string, unknown>
  assert.ok((gcp['includedPermissions'] as string[]).includes('compute.instances.updateNetworkInterface'))
  assert.deepEqual(JSON.parse((await run('permissions', '--cloud', 'gcp', '-o', 'json')).out), gcp)
})

const wrong: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [['permissions'], /--cloud is needed; allowed: aws, azure, gcp/],
  [['permissions', '--cloud', 'other'], /--cloud/],
  [['permissions', '--cloud', 'azure', '--cluster', 'c1'], /--cluster means nothing to azure/],
  [['permissions', '--cloud', 'aws', '--scope', 's'], /--scope means nothing to aws/],
  [['simulate', '--cloud', 'azure'], /azure is not simulated/],
  [['simulate', '--nodes', '0'], /--nodes 0: allowed: a whole number from 1 to 10000/],
  [['simulate', '--within', 'soon'], /--within soon: allowed: a duration/],
]
for (const [args, says] of wrong)
  test(`ipam ${args.join(' ')} is a wrong command line`, async () => {
    const { code, err } = await run(...args)
    assert.deepEqual([code, says.test(err)], [2, true], err)
  })

test('a simulation prints figures, the same for a seed, and draws them', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-simulate-'))
  const svg = join(folder.path, 'curve.svg')
  const burst = ['simulate', '--nodes', '2', '--pods-per-node', '20', '--within', '1s', '--seed', '7']
  const { code, out } = await run(...burst, '--svg', svg)
  assert.equal(code, 0)
  assert.match(out, /^2 nodes, 20 pods each within 1 s, prefixes of 16, seed 7\n/)
  assert.match(out, /^ALGORITHM +P50 S +P99 S +LAST S +CHANGES +READS/m)
  assert.match(readFileSync(svg, 'utf8'), /^<svg /)
  const json = (await run(...burst, '-o', 'json')).out
  assert.equal((await run(...burst, '-o', 'json')).out, json)
  const report = JSON.parse(json) as {
    readonly figures: readonly { readonly lastMs: number; readonly throttled: number }[]
  }
  assert.equal(report.figures.length, 1)
  assert.equal(report.figures[0]?.throttled, 0)
  assert.notEqual((await run(...burst.slice(0, -1), '8', '-o', 'json')).out, json)
})
