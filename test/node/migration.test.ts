/**
 * docs/migration.md in a lab: two nodes run the reference plugin bridge, and get this CNI one after the other. Pods of the
 * other CNI keep their connections and reach everybody until they are recreated; kube-proxy's rules do no harm.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { podLayout } from '../../deploy/lab/layout.ts'
import { startProbe } from '../../deploy/lab/node.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation, Stream } from '../support/cluster-station.ts'
import {
  BRIDGE,
  BRIDGE_CONFLIST,
  bridgeLeases,
  endBridgePod,
  installBridge,
  startBridgePod,
} from '../support/bridge-cni.ts'
import { eventually } from '../support/eventually.ts'
import { KubeProxyRules } from '../support/kube-proxy-rules.ts'
import { bySocket, writeMigrationService } from '../support/migration-service.ts'

const NODES = ['node1', 'node2']

interface Case {
  readonly mode: 'native' | 'overlay'
  /** Ranges of the other CNI, and of it on each node; without them it has those of the Node objects, as we have. */
  readonly apart?: { readonly all: readonly string[]; readonly of: (index: number) => readonly string[] }
}
const APART = {
  all: ['10.244.0.0/16', 'fd00:244::/48'],
  of: (index: number) => [`10.244.${index}.0/24`, `fd00:244:0:${index}::/64`],
}
/** What a lab's nodes have. */
const SHARED = ['10.71.0.0/16', 'fd00:71::/48']

for (const { mode, apart } of [
  { mode: 'native', apart: APART },
  { mode: 'overlay', apart: APART },
  { mode: 'native' },
] satisfies readonly Case[] as readonly Case[])
  suite(`from the bridge plugin to this CNI, routing ${mode}, ranges ${apart ? 'apart' : 'of the Node objects'}`, () => {
    let cluster: Cluster
    let first: ClusterNode
    let second: ClusterNode
    /** Pods of the other CNI, by name. */
    let old: readonly [ClusterStation, ClusterStation, ClusterStation]
    let created: ClusterStation
    let lasting: readonly Stream[]

    before(async () => {
      const set = [
        `routing.mode=${mode}`,
        `routing.formerRanges=${JSON.stringify(apart?.all ?? SHARED)}`,
        ...(apart ? [] : ['node-cidr={}']),
        'masquerade={nodes: true}',
      ]
      cluster = await Cluster.start('migrate', { nodes: 2, pods: 0, set })
      ;[first, second] = NODES.map(name => cluster.node(name)) as [ClusterNode, ClusterNode]
      for (const node of [first, second]) {
        await node.endDaemon('SIGTERM')
        assert.equal((await node.causeway('uninstall')).status, 0)
        installBridge(node, bridgeRanges(node))
      }
      // As flannel's host-gw mode leaves them.
      await routes('add', first, bridgeRanges(second), second)
      await routes('add', second, bridgeRanges(first), first)
      old = [
        await startBridgePod(cluster, first, 'a'),
        await startBridgePod(cluster, first, 'b'),
        await startBridgePod(cluster, second, 'a'),
      ]
      if (!apart)
        for (const node of [first, second]) await node.run(['sysctl', '-qw', `net.ipv4.conf.${BRIDGE}.proxy_arp=1`])
      await eventually(async () => (await failures(old, [...old, ...hosts()])).length === 0)
      const far = [old[1], old[2], cluster.station('outside')]
      lasting = await Promise.all(FAMILIES.flatMap(f => far.map(to => old[0].stream(to.address(f)))))
    })
    after(() => cluster?.[Symbol.asyncDispose]())

    const bridgeRanges = ({ name, layout }: ClusterNode): readonly string[] =>
      apart?.of(NODES.indexOf(name) + 1) ?? layout.podCidrs
    const hosts = (): ClusterStation[] => [...NODES, 'outside'].map(name => cluster.station(name))

    async function routes(
      verb: 'add' | 'del',
      node: ClusterNode,
      ranges: readonly string[],
      via: ClusterNode,
    ): Promise<void> {
      for (const range of ranges) {
        const gateway = via.addresses.find(address => address.includes(':') === range.includes(':')) ?? ''
        // Behind those that a daemon makes.
        await node.run(['ip', 'route', verb, range, 'via', gateway, 'metric', '9000'])
      }
    }

    /**
     * To a pod of the bridge all addresses of its range are on its link. Where new pods have such, the bridge answers for
     * them, as it was told; in IPv6 it would have to be told each address.
     */
    function isCutOff(a: ClusterStation, b: ClusterStation, f: 4 | 6): boolean {
      const isOld = (station: ClusterStation): boolean => old.includes(station)
      const isPod = (station: ClusterStation): boolean => station.name.includes('-')
      return !apart && f === 6 && a.node === b.node && isPod(a) && isPod(b) && isOld(a) !== isOld(b)
    }

    /** Exchanges by TCP that fail, or that are cut off and do not, between all that are named on both sides. */
    async function failures(from: readonly ClusterStation[], to: readonly ClusterStation[]): Promise<string[]> {
      const checks = from.flatMap(a =>
        to.flatMap(b =>
          FAMILIES.map(async f => {
            const { ok, error = '' } = await a.check('tcp', b.address(f), ECHO_PORT, 20_000, '--timeout', 3000)
            return a === b || ok !== isCutOff(a, b, f) ? [] : [`${a.name} → ${b.name}, IPv${f}: ${error}`]
          }),
        ),
      )
      return (await Promise.all(checks)).flat().sort()
    }

    async function bridgeAddresses(): Promise<string[]> {
      const text = await first.run(['ip', '-o', 'address', 'show', 'dev', BRIDGE])
      return [...text.matchAll(/inet6? ([^/]+)/g)].map(match => match[1] ?? '')
    }

    async function createPod(node: string, index: number): Promise<ClusterStation> {
      const pod = await cluster.addPod(node, index)
      const { layout } = cluster.lab
      await startProbe(layout, podLayout(layout, cluster.node(node).layout, index), cluster.built, cluster.signal)
      return pod
    }

    test('on the first node pods of the other CNI go on as before', async () => {
      await first.startDaemon()
      await eventually(async () => (await first.table('formerPods')).length === 4)
      assert.deepEqual(await failures(old, [...old, ...hosts()]), [])
      assert.deepEqual(await failures(hosts().slice(0, 2), old), [])
    })

    test('its new pods are ours, and reach pods and nodes that have not changed over', async () => {
      created = await createPod('node1', 0)
      assert.match(created.address(4), /^10\.71\.1\./)
      const taken = [...old.flatMap(pod => pod.addresses), ...(await bridgeAddresses())]
      for (const address of created.addresses) assert.ok(!taken.includes(address), `${address} is somebody else's`)
      // Through the overlay a node is reached once its daemon runs; what another CNI's pods are is no matter of the overlay.
      const [node1, node2, outside] = hosts() as [ClusterStation, ClusterStation, ClusterStation]
      const others = mode === 'native' ? [node1, node2, outside] : [node1, outside]
      assert.deepEqual(await failures([created], [...old, ...others]), [])
      assert.deepEqual(await failures([old[0], old[1], cluster.station('node1')], [created]), [])
      const trace = await first.causeway('trace', '--from', 'node1-a', '--to', `${old[0].address(4)}:${ECHO_PORT}`)
      assert.match(trace.stdout, /behind which another CNI has the pod/)
    })

    test('a node that has not changed over reaches them natively, by a route to their range', async () => {
      const from = [old[2], cluster.station('node2')]
      if (apart === undefined) {
        assert.deepEqual(await failures(from, [created]), [], 'the routes of the other CNI lead to them')
        return
      }
      assert.equal((await failures(from, [created])).length, 4)
      await routes('add', second, first.layout.podCidrs, first)
      // What comes back takes the overlay.
      assert.equal((await failures(from, [created])).length, mode === 'native' ? 0 : 4)
      await routes('del', second, first.layout.podCidrs, first)
    })

    test("services are served by our programs or by kube-proxy's rules, whoever asks and whoever serves", async () => {
      const [asks, serves] = old
      using former = writeMigrationService(cluster, 'former', 90, serves)
      using ours = writeMigrationService(cluster, 'ours', 91, created)
      const node1 = cluster.station('node1')
      const both = [former, ours]
      // Without kube-proxy an old pod's sockets are translated, its packets are not: no program is on its interface.
      for (const service of both) {
        await eventually(async () => (await bySocket(cluster, created, service)).ok)
        for (const client of [asks, created, node1])
          assert.equal((await bySocket(cluster, client, service)).error, undefined, `${client.name} → ${service.name}`)
        assert.equal((await asks.check('tcp', service.address, service.port, 1, '--timeout', 500)).ok, false)
      }
      await using rules = await KubeProxyRules.lay(first, both)
      for (const service of both) {
        const what = (client: ClusterStation): string => `${client.name} → ${service.name}`
        const before = await rules.packets(service)
        for (const client of [created, node1])
          assert.equal((await bySocket(cluster, client, service)).error, undefined, what(client))
        const byPacket = await created.check('tcp', service.address, service.port, 20_000, '--timeout', 3000)
        assert.equal(byPacket.error, undefined, what(created))
        const outside = await cluster
          .station('outside')
          .check('tcp', node1.address(4), service.nodePort, 20_000, '--timeout', 3000)
        assert.equal(outside.error, undefined, 'outside → node port')
        assert.equal(await rules.packets(service), before, 'the rules have seen none of it')
        // Between two pods of one bridge answers pass no rule without br_netfilter, which is none of our business.
        if (service === former) continue
        const oldByPacket = await asks.check('tcp', service.address, service.port, 20_000, '--timeout', 3000)
        assert.equal(oldByPacket.error, undefined, what(asks))
        assert.ok((await rules.packets(service)) > before, 'the rules have served the old pod')
      }
    })

    test('on the second node likewise, and then everybody reaches everybody', async () => {
      await second.startDaemon()
      const another = await createPod('node2', 0)
      const pods = [...old, created, another]
      assert.deepEqual(await failures(pods, [...pods, ...hosts()]), [])
      assert.deepEqual(await failures(hosts().slice(0, 2), pods), [])
    })

    test('connections of before have noticed nothing', async () => {
      const results = await Promise.all(lasting.map(stream => stream.stop()))
      assert.deepEqual(
        results.filter(({ ok, received }) => !ok || received < 50),
        [],
      )
    })

    test('a pod that is recreated is ours', async () => {
      await endBridgePod(cluster, first, 'a')
      await endBridgePod(cluster, first, 'b')
      const again = await startBridgePod(cluster, first, 'a')
      assert.match(again.address(4), /^10\.71\.1\./)
      assert.deepEqual(await failures([again], [old[2], created, ...hosts()]), [])
      assert.deepEqual(await failures([old[2], created], [again]), [])
      await eventually(async () => (await first.table('formerPods')).length === 0)
    })

    test('what the other CNI leaves on a node is known by name and can be taken away', async () => {
      const leases = join(bridgeLeases(first.layout), 'other')
      // The runtime asks the first configuration for the DEL, so that the other CNI never learns of it.
      assert.deepEqual(
        readdirSync(leases)
          .filter(name => name.startsWith('10.'))
          .sort(),
        [old[0].address(4), old[1].address(4)],
      )
      const rules = async (): Promise<string> =>
        (await first.run(['iptables-save', '-t', 'nat'])) + (await first.run(['ip6tables-save', '-t', 'nat']))
      assert.match(await rules(), /CNI-[0-9a-f]{24}/)
      await first.run(['ip', 'link', 'delete', BRIDGE])
      await routes('del', first, bridgeRanges(second), second)
      for (const command of ['iptables', 'ip6tables'])
        await first.run(['sh', '-c', `${command}-save -t nat | grep -v CNI- | ${command}-restore -T nat`])
      rmSync(bridgeLeases(first.layout), { recursive: true })
      // Set aside since the daemon is ready (cni.exclusive), and to be taken away under that name.
      const confs = readdirSync(first.layout.paths.cniConf).filter(name => name.startsWith(BRIDGE_CONFLIST))
      assert.deepEqual(confs, [`${BRIDGE_CONFLIST}.set-aside-by-causeway`])
      for (const name of confs) rmSync(join(first.layout.paths.cniConf, name))
      assert.doesNotMatch(await rules(), /CNI-/)
      assert.equal(existsSync(join(first.layout.paths.cniConf, '05-causeway.conflist')), true)
      assert.deepEqual(await failures([created], hosts()), [])
    })
  })
