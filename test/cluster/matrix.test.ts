/** The whole of a pod network in the lab: the daemon, the CNI executable and the programs, by every way of routing. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { mustRun, runCommand } from '../../deploy/lab/command.ts'
import { traces } from '../support/machine-traces.ts'
import { sweepLabs } from '../support/sweep-labs.ts'

const MAIN = join(fileURLToPath(new URL('../..', import.meta.url)), 'deploy/lab/main.ts')
/** Of this process alone: two runs of the tests must not take each other's lab away. */
const NAME = `m${process.pid}`
before(() => sweepLabs(['m']))

interface JsonRow {
  readonly way: string
  readonly from: string
  readonly to: string
  readonly protocol: string
  readonly family: number
  readonly bytes: number
  readonly reaches: boolean
  readonly ok: boolean
  readonly error?: string
  readonly flows: readonly {
    readonly record: { readonly verdict: string; readonly moment?: string; readonly reason?: { readonly name: string } }
  }[]
}

async function lab(
  ...args: readonly string[]
): Promise<{ readonly status: number | undefined; readonly rows: JsonRow[] }> {
  const { status, stdout } = await runCommand([process.execPath, MAIN, '--name', NAME, ...args])
  const lines = stdout.split('\n').filter(line => line.startsWith('{'))
  return { status, rows: lines.map(line => JSON.parse(line) as JsonRow) }
}

/** What is asked for, and how many rows that is: 322 for each node, 173 where pods have one family. */
const networks: Readonly<Record<string, readonly [options: readonly string[], rows: number]>> = {
  'as it is configured by default': [[], 644],
  'of three nodes by native routing': [['--nodes', '3', '--set', 'routing.mode=native'], 966],
  'of near nodes and a far one, native and by VXLAN': [['--nodes', '3', '--far', '1'], 966],
  'by VXLAN': [['--set', 'routing.mode=overlay'], 644],
  'of IPv4 only': [['--set', 'families=[ipv4]'], 346],
  'of IPv6 only, by VXLAN': [['--set', 'families=[ipv6]', '--set', 'routing.mode=overlay'], 346],
  'whose pods answer past the node that was asked, by IPIP': [['--set', 'services.dsr.dispatch=ipip'], 644],
  'whose pods do so by Geneve within VXLAN': [
    ['--set', 'services.dsr.dispatch=geneve', '--set', 'routing.mode=overlay'],
    644,
  ],
  'with clsact on the uplinks': [['--set', 'datapath.tcx=off'], 644],
}
for (const [what, [options, count]] of Object.entries(networks))
  test(`a network ${what} has every row hold, twice, and leaves nothing behind`, async t => {
    t.after(() => lab('down'))
    const start = traces(NAME)
    assert.equal((await lab('up', ...options)).status, 0)
    for (const round of [1, 2]) {
      const { status, rows } = await lab('check', '--json')
      const failed = rows.filter(r => !r.ok).map(r => ({ ...r, flows: r.flows.map(f => f.record) }))
      assert.deepEqual([failed, status], [[], 0], `round ${round}`)
      assert.equal(rows.length, count)
      assert.deepEqual(pairsWithoutRecords(rows), [])
    }
    await lab('down')
    assert.deepEqual(traces(NAME), start)
  })

/**
 * Whatever a pod takes part in is recorded, at least the first packet and the first reply. Rows of the same two ends
 * are taken together: a port that comes again within the flow's lifetime continues the old flow.
 */
function pairsWithoutRecords(rows: readonly JsonRow[]): string[] {
  const isOfPods = (row: JsonRow): boolean => [row.from, row.to].some(name => /^node\d+-/.test(name))
  // Of a service's flows the backends are told, of those that leave the cluster the node.
  const ofPods = rows.filter(r => r.reaches && isOfPods(r) && !/service|node port|pod → outside/.test(r.way))
  const groups = Map.groupBy(ofPods, r => `${r.from} → ${r.to} ${r.protocol} IPv${r.family}`)
  return [...groups].flatMap(([name, group]) => {
    const moments = group.flatMap(r => r.flows.map(f => f.record.moment))
    return moments.includes('first') && moments.includes('reply') ? [] : [name]
  })
}

test('a row that does not hold shows the drop and its reason', async t => {
  t.after(() => lab('down'))
  await lab('up', '--set', 'routing.mode=native')
  const rule = ['ip', 'rule', 'add', 'pref', '100', 'to', '10.71.2.0/24', 'blackhole']
  await mustRun(['ip', 'netns', 'exec', `cw-${NAME}-node1`, ...rule])
  const { status, rows } = await lab('check', '--json')
  assert.equal(status, 1)
  // Some of the service's backends are behind the rule.
  const failed = rows.filter(r => !r.ok && r.from === 'node1-a' && !r.way.includes('service'))
  assert.deepEqual(
    [...new Set(failed.map(r => `${r.way} IPv${r.family}`))],
    ['pod → pod, other node, as itself IPv4', 'pod → pod, other node IPv4'],
  )
  const reasons = failed.flatMap(r => r.flows.map(f => f.record.reason?.name))
  assert.ok(reasons.includes('no_route'), reasons.join(' '))
})
