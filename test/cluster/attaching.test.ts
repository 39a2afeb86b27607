/**
 * Where programs are attached: the two ways to do it, changed from one to the other under traffic, and other people's
 * programs on the same devices, which go on as ours do.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { codec, u32, u64 } from '../../daemon/kernel/bpf/layout.ts'
import { attach, type Hook } from '../../daemon/kernel/bpf/link.ts'
import { loadObject } from '../../daemon/kernel/bpf/object.ts'
import { inNetns } from '../../daemon/kernel/netns/in-netns.ts'
import { compileObject } from '../../deploy/setup/compile-bpf.mjs'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { NEEDS_TCX } from '../support/needs-tcx.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

suite('on a node', () => {
  const folder = mkdtempSync(join(tmpdir(), 'causeway-count-'))
  const object = join(folder, 'count.o')
  let cluster: Cluster
  let node: ClusterNode
  let pod: ClusterStation
  before(async () => {
    await compileObject({ root: ROOT, source: join(ROOT, 'test/cluster/testdata/count.bpf.c'), output: object })
    cluster = await Cluster.start('clattach', { nodes: 3, far: 1 })
    node = cluster.node('node1')
    pod = cluster.station('node1-a')
  })
  after(async () => {
    await cluster?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Somebody else's program on a device of the node, and how many packets it has seen. */
  function counter(hook: Omit<Extract<Hook, { kind: 'tcx' }>, 'kind'>): { seen(): number } & Disposable {
    using stack = new DisposableStack()
    const loaded = stack.use(loadObject(object))
    const packets = stack.use(loaded.map('packets', codec(u32, u64)))
    stack.use(inNetns(node.layout.netns, () => attach(loaded.programFd('count_packets'), { kind: 'tcx', ...hook })))
    const keep = stack.move()
    return { seen: () => Number(packets.lookup(0) ?? 0n), [Symbol.dispose]: () => keep.dispose() }
  }
  async function everyoneIsReached(): Promise<void> {
    for (const family of FAMILIES)
      for (const to of ['node1-b', 'node2-a', 'node3-a', 'node2']) {
        const { error } = await pod.check('tcp', cluster.station(to).address(family), ECHO_PORT, 50_000)
        assert.equal(error, undefined, `${to} IPv${family}`)
      }
  }
  /** tc filters and tcx links of ours on a device, by program. */
  async function attached(): Promise<string[]> {
    const filters = await Promise.all(
      ['eth0', 'cw-vxlan'].flatMap(device =>
        ['ingress', 'egress'].map(side => node.run(['tc', 'filter', 'show', 'dev', device, side])),
      ),
    )
    const names = [...filters.join('').matchAll(/handle 0x1 (\w+) direct-action/g)].map(m => `filter ${m[1]}`)
    return [...names, ...Object.keys(node.links()).map(name => `link ${name.replace(/_\d+$/, '')}`)].sort()
  }

  const ways = { tcx: 'link', clsact: 'filter' } as const
  const start = (way: keyof typeof ways): Promise<void> =>
    node.startDaemon({ set: [`datapath.tcx=${way === 'tcx' ? 'on' : 'off'}`] })
  for (const [from, to, needs] of [
    ['tcx', 'clsact', NEEDS_TCX],
    ['clsact', 'clsact', {}],
    ['clsact', 'tcx', NEEDS_TCX],
  ] as const)
    test(
      `a restart that changes from ${from} to ${to} leaves every program attached once, and connections open`,
      needs,
      async () => {
        const want = (way: keyof typeof ways): string[] =>
          ['overlay_in', 'overlay_out', 'uplink_in', 'uplink_out'].map(p => `${ways[way]} ${p}`)
        await node.endDaemon('SIGKILL')
        await start(from)
        assert.deepEqual(await attached(), want(from))
        const streams = await Promise.all(
          ['node1-b', 'node2-a', 'node3-a'].map(name => pod.stream(cluster.station(name).address(4))),
        )
        await node.endDaemon('SIGKILL')
        await start(to)
        assert.deepEqual(await attached(), want(to))
        await everyoneIsReached()
        const results = await Promise.all(streams.map(s => s.stop()))
        assert.deepEqual(
          results.filter(r => !r.ok),
          [],
        )
      },
    )

  test(
    "other people's programs see what they saw, before and after a restart, and do not disturb ours",
    NEEDS_TCX,
    async () => {
      using net = node.net()
      const uplink = net.link('eth0')?.index ?? 0
      const [endpoint] = (await node.table('endpoints')).filter(e => e.pod.name === pod.name)
      const side = 'ingress'
      using first = counter({ ifindex: uplink, side, anchor: { place: 'first' } })
      using last = counter({ ifindex: uplink, side, anchor: { place: 'last' } })
      using atPod = counter({ ifindex: endpoint?.device.index ?? 0, side })
      const counters = { 'first on the uplink': first, 'last on the uplink': last, "on the pod's device": atPod }
      for (const when of ['before', 'after'] as const) {
        const seen = Object.values(counters).map(c => c.seen())
        await everyoneIsReached()
        // What is for the host passes all programs of the uplink.
        assert.ok((await cluster.station('node2').check('tcp', node.addresses[0] ?? '', ECHO_PORT, 1000)).ok)
        for (const [i, [where, c]] of Object.entries(counters).entries())
          assert.ok(c.seen() > (seen[i] ?? 0), `${where}, ${when} the restart`)
        if (when === 'after') return
        await node.endDaemon('SIGKILL')
        await node.startDaemon({ set: ['datapath.flowEvents=false'] })
      }
    },
  )
})
