/** What the lab's command line is taken to mean. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArguments } from './arguments.ts'
import { daemonConfiguration } from './configuration.ts'
import { labLayout, nodeLayout } from './layout.ts'

test('nothing said leaves a lab that is up as it is', () => {
  const args = parseArguments([])
  assert.equal(args.verb, 'default')
  assert.equal(args.asked, undefined)
  assert.deepEqual(args.options, { nodes: 2, pods: 2, set: [] })
})

test('any option of the lab asks for exactly that lab', () => {
  const { asked, verb, name } = parseArguments(['up', '--nodes', '3', '--set', 'a.b=1', '--name', 'x1'])
  assert.deepEqual({ asked, verb, name }, { asked: { nodes: 3, pods: 2, set: ['a.b=1'] }, verb: 'up', name: 'x1' })
})

test('no far nodes may be asked for', () => {
  assert.equal(parseArguments(['--far', '0']).asked?.far, 0)
})

test('what follows -- belongs to the command', () => {
  const { target, command, name } = parseArguments(['exec', 'node1-a', '--name', 'x', '--', 'ip', '--json', 'a'])
  assert.deepEqual({ target, command, name }, { target: 'node1-a', command: ['ip', '--json', 'a'], name: 'x' })
})

test('a lab on AWS has pods for both interfaces of its machines, unless another number is asked for', () => {
  const { asked } = parseArguments(['--kubernetes', '--cloud', 'aws'])
  assert.deepEqual(asked, { nodes: 2, pods: 4, set: [], kubernetes: true, cloud: 'aws' })
  assert.equal(parseArguments(['--kubernetes', '--cloud', 'aws', '--pods', '1']).asked?.pods, 1)
})

const refused: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  'an unknown verb': [['frob'], /no verb frob; there are up, check/],
  'no nodes': [['--nodes', '0'], /--nodes takes a number from 1 to 200, not 0/],
  'options of up for another verb': [['check', '--nodes', '3'], /check takes a lab as it is/],
  'half a pod': [['--pods', '1.5'], /--pods takes a number/],
  "a name that could hold another lab's": [['--name', 'a-b'], /a lab's name is 1 to 12 lower-case letters and digits/],
  'a name that leaves the folder': [['--name', '../x'], /a lab's name/],
  'exec without a command': [['exec', 'node1-a'], /exec takes NAME -- COMMAND/],
  'an argument too many': [['down', 'node1'], /down takes no node1/],
  'a cloud that the lab does not have': [['--kubernetes', '--cloud', 'gcp'], /--cloud takes aws, not gcp/],
  'a cloud without an API server': [['--cloud', 'aws'], /--cloud takes --kubernetes/],
  'an unknown option': [['--frob'], /--frob/],
}
for (const [what, [argv, message]] of Object.entries(refused))
  test(`${what} is refused`, () => assert.throws(() => parseArguments(argv), message))

function configure(...set: readonly string[]): unknown {
  const lab = labLayout('x')
  return daemonConfiguration(lab, nodeLayout(lab, 1), { set })
}

test('--set reaches any depth and leaves the rest of a section alone', () => {
  const configuration = configure('routing.mode=overlay', 'routing.overlay.port=1', 'paths.state=/s') as {
    readonly routing: unknown
    readonly paths: Readonly<Record<string, string>>
  }
  assert.deepEqual(configuration.routing, { mode: 'overlay', overlay: { port: 1 } })
  assert.equal(configuration.paths['state'], '/s')
  assert.equal(configuration.paths['run'], '/run/causeway-lab/x/node1/run')
})

test('--set takes lists and objects as YAML', () => {
  const configuration = configure('families=[ipv6, ipv4]', 'cluster-pool.pools=[{name: default}]') as {
    readonly families: unknown
    readonly 'cluster-pool': unknown
  }
  assert.deepEqual(configuration.families, ['ipv6', 'ipv4'])
  assert.deepEqual(configuration['cluster-pool'], { pools: [{ name: 'default' }] })
})

for (const assignment of ['x', '=1', 'a..b=1', '.a=1'])
  test(`--set ${assignment} is refused`, () => assert.throws(() => configure(assignment), /--set takes key/))
