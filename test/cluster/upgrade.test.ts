/**
 * The daemons of a cluster are replaced by a build whose maps have another layout, and by the first one again, ten times,
 * under traffic on every kind of way: nobody who has a connection notices, and nobody who opens one fails.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { CT_KEY_SIZE, type CtValue, ctValueLayout } from '../../daemon/datapath/shared.gen.ts'
import { bytes, codec } from '../../daemon/kernel/bpf/layout.ts'
import { mapFromPin } from '../../daemon/kernel/bpf/map.ts'
import { listPins } from '../../daemon/kernel/bpf/pin.ts'
import { pinnedMap } from '../../daemon/datapath/map-pins.ts'
import { MAP_LAYOUTS } from '../../daemon/datapath/pinned-maps.ts'
import { Cluster } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import { CHANGED_MAPS, SECOND_VERSION, versionOf, secondBuild } from '../support/second-build.ts'
import { UpgradeTraffic } from '../support/upgrade-traffic.ts'
import { isGone } from '../support/bpf-ids.ts'
import { eventually } from '../support/eventually.ts'

const TIMES = 10
/** Forty daemons have the kernel verify all programs, which takes a machine of two cores a minute. */
const PATIENT = { timeout: 300_000 }
/** Each flow that lasts sends something in so much time. */
const BUSY_MS = 500

suite('an upgrade and its rollback', () => {
  let cluster: Cluster
  let second: string
  before(async () => {
    second = await secondBuild()
    cluster = await Cluster.start('clupgrade', { nodes: 2, pods: 2 })
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  /** Ends the daemon and starts one of the build; of the first where none is named, which knows nothing of the second. */
  async function replace(node: ClusterNode, end: NodeJS.Signals, bundle?: string): Promise<void> {
    await node.endDaemon(end)
    await node.startDaemon(bundle === undefined ? {} : { bundle })
    const { build } = (await node.get('/v1/status')) as { readonly build: { readonly version: string } }
    assert.equal(build.version === SECOND_VERSION, bundle !== undefined)
    const more = bundle === undefined ? 0 : 1
    for (const map of CHANGED_MAPS) assert.deepEqual(pinsOf(node, map), [`${map}_v${versionOf(map) + more}`], node.name)
  }

  test('ten times up and down: no reset, no lost request, no lost datagram, no forgotten flow', PATIENT, async () => {
    await using traffic = await UpgradeTraffic.hold(cluster)
    const known = new Map(await Promise.all(cluster.nodes.map(async node => [node, await busyFlows(node)] as const)))
    await traffic.ask()
    const replaced = new Set<string>()
    for (let time = 0; time < TIMES; time++)
      for (const bundle of [second, undefined]) {
        for (const node of cluster.nodes) for (const id of await idsOf(node)) replaced.add(id)
        const end = time % 2 === 0 ? 'SIGTERM' : 'SIGKILL'
        // First one node after the other, which lets both builds meet, then both at once.
        if (time === 0) for (const node of cluster.nodes) await replace(node, end, bundle)
        else await Promise.all(cluster.nodes.map(node => replace(node, end, bundle)))
        if (bundle === undefined) assertRemembered(known, time)
      }
    for (const [node, flows] of known)
      assert.ok(flows.size > traffic.lasting / 4, `${flows.size} flows on ${node.name}`)
    const results = await traffic.stop()
    assert.deepEqual(
      results.filter(({ failures }) => failures.length > 0),
      [],
    )
    for (const node of cluster.nodes) {
      assert.deepEqual(
        listPins(maps(node))
          .map(({ name }) => name)
          .sort(),
        Object.entries(MAP_LAYOUTS)
          .map(([name, { version }]) => `${name}_v${version}`)
          .sort(),
      )
      for (const id of await idsOf(node)) replaced.delete(id)
    }
    await eventually(() => [...replaced].every(isGone))
  })
})

/** Every flow that was known at the beginning is, and is the same. */
function assertRemembered(known: ReadonlyMap<ClusterNode, ReadonlyMap<string, CtValue>>, time: number): void {
  for (const [node, flows] of known) {
    const now = flowsOf(node)
    const forgotten = [...flows].filter(([flow, { created }]) => now.get(flow)?.created !== created)
    const shown = forgotten.map(([flow, was]) => ({ flow, was, is: now.get(flow) }))
    assert.deepEqual(shown, [], `${node.name} has forgotten flows, or begun them anew; time ${time + 1}`)
  }
}

const maps = (node: ClusterNode): string => join(node.layout.paths.bpf, 'maps')

function pinsOf(node: ClusterNode, map: string): string[] {
  return listPins(maps(node))
    .map(({ name }) => name)
    .filter(name => new RegExp(`^${map}_v\\d`).test(name))
}

/** Programs that are attached and maps that are pinned, as `program 7` and `map 9`. */
async function idsOf(node: ClusterNode): Promise<string[]> {
  const programs = Object.values(await node.programs()).map(id => `program ${id}`)
  const pinned = listPins(maps(node)).map(({ path }) => {
    using map = pinnedMap(path)
    return `map ${map?.id}`
  })
  return [...programs, ...pinned]
}

/** The flows of the first build's conntrack, by their keys in hexadecimal. */
function flowsOf(node: ClusterNode): Map<string, CtValue> {
  using map = mapFromPin(join(maps(node), 'conntrack_v1'), codec(bytes(CT_KEY_SIZE), ctValueLayout))
  assert.ok(map)
  return new Map([...map.entries()].map(([key, value]) => [Buffer.from(key).toString('hex'), value]))
}

/** Those that carry packets now. */
async function busyFlows(node: ClusterNode): Promise<Map<string, CtValue>> {
  const before = flowsOf(node)
  await delay(BUSY_MS)
  const packets = ({ packetsA, packetsB }: CtValue): bigint => packetsA + packetsB
  return new Map(
    [...flowsOf(node)].filter(([flow, value]) => {
      const was = before.get(flow)
      return was !== undefined && packets(value) > packets(was)
    }),
  )
}
