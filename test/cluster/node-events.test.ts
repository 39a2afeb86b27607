/**
 * What happens to a node while it runs: other MTUs, names and devices of its uplink, other addresses, settings that
 * somebody takes back, nodes that come and go. Daemons follow, and what can go on goes on.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { LinkInfo } from '../../daemon/kernel/kernel.ts'
import { nodeManifest, removeManifest, writeManifest } from '../../deploy/lab/configuration.ts'
import { nodeLayout } from '../../deploy/lab/layout.ts'
import { isReady } from '../../deploy/lab/node.ts'
import { Cluster, ECHO_PORT, FAMILIES } from '../support/cluster.ts'
import type { ClusterNode } from '../support/cluster-node.ts'
import type { ClusterStation } from '../support/cluster-station.ts'
import { eventually } from '../support/eventually.ts'

const PATIENT = { timeoutMs: 30_000, pollMs: 50 }

suite('a node of a cluster', () => {
  let cluster: Cluster
  let node: ClusterNode
  let pod: ClusterStation
  before(async () => {
    cluster = await Cluster.start('clevents', { nodes: 3, far: 1 })
    node = cluster.node('node1')
    pod = cluster.station('node1-a')
  })
  after(() => cluster?.[Symbol.asyncDispose]())

  /** From pod and host to pods of all nodes, and back from the near and the far node. */
  async function everyoneReachesEveryone(): Promise<void> {
    const ways = [
      ['node1-a', 'node1-b'],
      ['node1-a', 'node2-a'],
      ['node1-a', 'node3-a'],
      ['node1-a', 'node1'],
      ['node1', 'node1-b'],
      ['node1', 'node2-a'],
      ['node1', 'node3-a'],
      ['node2-a', 'node1-a'],
      ['node3-a', 'node1-a'],
    ] as const
    const checks = ways.flatMap(([from, to]) =>
      FAMILIES.map(async family => {
        const address = cluster.station(to).address(family)
        return { from, to, family, ...(await cluster.station(from).check('tcp', address, ECHO_PORT, 200_000)) }
      }),
    )
    assert.deepEqual(
      (await Promise.all(checks)).filter(c => !c.ok),
      [],
    )
  }

  /** All MTUs of node1 and its pod in one line, as the kernel has them. */
  async function mtus(): Promise<string> {
    using net = node.net()
    const links = net.links()
    const mtuOf = (test: (l: LinkInfo) => boolean): string => [...new Set(links.filter(test).map(l => l.mtu))].join(' ')
    const routes = net.routes()
    const routeMtu = (dst: string): number => routes.find(r => r.dst === dst)?.mtu ?? 0
    const inside = await pod.run(['ip', '-o', 'link', 'show', 'eth0'])
    const defaults = `${await pod.run(['ip', 'route'])}${await pod.run(['ip', '-6', 'route'])}`
    return [
      `pods ${mtuOf(l => isPodDevice(l.name))}`,
      `interface ${/mtu (\d+)/.exec(inside)?.[1]}`,
      `default routes ${[...defaults.matchAll(/^default .*mtu (\d+)/gm)].map(m => m[1]).join(' ')}`,
      `overlay ${mtuOf(l => l.name === 'cw-vxlan')}`,
      `near ${routeMtu('10.71.2.0/24')} ${routeMtu('fd00:71:0:2::/112')}`,
      `far ${routeMtu('10.71.3.0/24')} ${routeMtu('fd00:71:0:3::/112')}`,
    ].join(', ')
  }
  async function setUplinkMtu(mtu: number): Promise<void> {
    const set = (device: string): string[] => ['ip', 'link', 'set', device, 'mtu', `${mtu}`]
    for (const name of ['node1', 'node2', 'router', 'outside']) await cluster.runIn('underlay', set(name))
    await cluster.runIn('router', set('eth0'))
    for (const each of ['node1', 'node2']) await cluster.node(each).run(set('eth0'))
  }

  test('whose uplink gets another MTU changes that of pods, routes and the overlay, there and back', async () => {
    const ordinary = 'pods 1500, interface 1500, default routes 1450 1450, overlay 1450, near 1500 1500, far 1450 1450'
    const jumbo = 'pods 9000, interface 9000, default routes 8950 8950, overlay 8950, near 9000 9000, far 8950 8950'
    await eventually(async () => (await mtus()) === ordinary, PATIENT)
    const stream = await pod.stream(cluster.station('node2-a').address(4))
    await setUplinkMtu(9000)
    await eventually(async () => (await mtus()) === jumbo, PATIENT)
    await eventually(async () => (await pod.check('icmp', cluster.station('node2-a').address(6), 8000)).ok, PATIENT)
    await everyoneReachesEveryone()
    await node.endDaemon('SIGKILL')
    await node.startDaemon()
    assert.equal(await mtus(), jumbo, 'a restart changes none')
    await setUplinkMtu(1500)
    await eventually(async () => (await mtus()) === ordinary, PATIENT)
    await everyoneReachesEveryone()
    assert.ok((await stream.stop()).ok)
  })

  test('whose uplink is renamed goes on with it', async () => {
    const stream = await cluster.station('node2-a').stream(pod.address(4))
    const [attached, link] = [await node.programs(), node.links()['uplink_in_2']]
    await node.run(['ip', 'link', 'set', 'eth0', 'name', 'wan7'])
    await eventually(async () => (await uplinkNames()) === 'wan7', PATIENT)
    assert.deepEqual(await node.programs(), attached)
    assert.equal(node.links()['uplink_in_2']?.id, link?.id)
    await everyoneReachesEveryone()
    await node.run(['ip', 'link', 'set', 'wan7', 'name', 'eth0'])
    await eventually(async () => (await uplinkNames()) === 'eth0', PATIENT)
    assert.ok((await stream.stop()).ok)
  })
  async function uplinkNames(): Promise<string> {
    return (await node.table('uplinks')).map(u => u.name).join(' ')
  }

  test('whose uplink is replaced by another device with its addresses moves its programs there', async () => {
    const mac = (await node.table('uplinks'))[0]?.mac ?? ''
    const stream = await cluster.station('node2-a').stream(pod.address(6))
    const addresses = node.layout.addresses
    await cluster.runIn('underlay', [
      'ip',
      'link',
      'add',
      'spare',
      'type',
      'veth',
      'peer',
      'name',
      'eth1',
      'netns',
      'cw-clevents-node1',
    ])
    await cluster.runIn('underlay', ['ip', 'link', 'set', 'node1', 'nomaster'])
    await node.run(['ip', 'link', 'delete', 'eth0'])
    await node.run(['ip', 'link', 'set', 'eth1', 'address', mac, 'up'])
    await cluster.runIn('underlay', ['ip', 'link', 'set', 'spare', 'master', 'underlay', 'up'])
    for (const address of addresses) await node.run(['ip', 'address', 'add', address, 'dev', 'eth1', 'nodad'])
    await node.run(['ip', 'route', 'add', '172.30.1.0/24', 'via', '172.30.0.254'])
    await node.run(['ip', 'route', 'add', 'fd00:30:1::/64', 'via', 'fd00:30::254'])
    await eventually(async () => (await uplinkNames()) === 'eth1', PATIENT)
    const index = (await node.table('uplinks'))[0]?.index ?? 0
    const where = async (): Promise<string[]> =>
      Object.keys(await node.programs()).filter(name => name.startsWith('uplink_in'))
    await eventually(async () => (await where()).includes(`uplink_in_${index}`), PATIENT)
    assert.deepEqual(await where(), [`uplink_in_${index}`])
    await eventually(
      async () => (await pod.check('tcp', cluster.station('node2-a').address(4), ECHO_PORT, 1)).ok,
      PATIENT,
    )
    await everyoneReachesEveryone()
    assert.ok((await stream.stop()).ok)
  })

  test('whose addresses change is reached at the new ones', async () => {
    const moved = { ...node.layout, addresses: ['172.30.0.101/24', 'fd00:30::101/64'] }
    // Else the kernel takes an address's secondaries along with it (ip-sysctl, promote_secondaries).
    cluster.kernel.setSysctl('net.ipv4.conf.all.promote_secondaries', '1', node.layout.netns)
    const [device] = (await node.table('uplinks')).map(u => u.name)
    assert.ok(device)
    for (const address of moved.addresses) await node.run(['ip', 'address', 'add', address, 'dev', device, 'nodad'])
    writeManifest(cluster.lab.layout, 'node1', nodeManifest(moved))
    for (const address of node.layout.addresses) await node.run(['ip', 'address', 'delete', address, 'dev', device])
    await node.run(['ip', 'route', 'replace', '172.30.1.0/24', 'via', '172.30.0.254'])
    await node.run(['ip', 'route', 'replace', 'fd00:30:1::/64', 'via', 'fd00:30::254'])
    await eventually(async () => {
      const routes = await cluster.node('node2').run(['ip', 'route', 'show', '10.71.1.0/24'])
      return routes.includes('via 172.30.0.101')
    }, PATIENT)
    await eventually(async () => {
      const hosts = (await node.table('hostAddresses')).map(h => h.address)
      return hosts.includes('fd00:30::101') && !hosts.includes('fd00:30::1')
    }, PATIENT)
    await eventually(async () => {
      const back = (await cluster.node('node3').table('ipcache')).filter(r => r.node === 'node1').map(r => r.path)
      return back.length > 0 && back.every(path => path.kind === 'overlay' && path.tunnel === '172.30.0.101')
    }, PATIENT)
    for (const family of FAMILIES) {
      const near = await cluster.station('node2-a').check('tcp', pod.address(family), ECHO_PORT, 100_000)
      const far = await cluster.station('node3-a').check('tcp', pod.address(family), ECHO_PORT, 100_000)
      const host = await pod.check('tcp', family === 4 ? '172.30.0.101' : 'fd00:30::101', ECHO_PORT, 1000)
      assert.deepEqual([near.error, far.error, host.error], [undefined, undefined, undefined])
    }
    for (const address of node.layout.addresses)
      await node.run(['ip', 'address', 'add', address, 'dev', device, 'nodad'])
    writeManifest(cluster.lab.layout, 'node1', nodeManifest(node.layout))
    for (const address of moved.addresses) await node.run(['ip', 'address', 'delete', address, 'dev', device])
    await node.run(['ip', 'route', 'replace', '172.30.1.0/24', 'via', '172.30.0.254'])
    await node.run(['ip', 'route', 'replace', 'fd00:30:1::/64', 'via', 'fd00:30::254'])
    await eventually(
      async () =>
        (await cluster.node('node2').run(['ip', 'route', 'show', '10.71.1.0/24'])).includes('via 172.30.0.1 '),
      PATIENT,
    )
  })

  test('whose routes somebody flushes has them back soon, those to its own pods too', async () => {
    const dump = async (): Promise<string[]> =>
      `${await node.run(['ip', 'route'])}${await node.run(['ip', '-6', 'route'])}`
        .split('\n')
        .filter(l => l.includes('proto 202'))
        .sort()
    const before = await dump()
    assert.ok(before.length >= 8, before.join('\n'))
    for (const family of ['-4', '-6']) await node.run(['ip', family, 'route', 'flush', 'proto', '202'])
    await eventually(async () => (await dump()).join('\n') === before.join('\n'), { timeoutMs: 10_000 })
    await everyoneReachesEveryone()
  })

  test('whose forwarding somebody switches off has it back', async () => {
    const names = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']
    for (const name of names) cluster.kernel.setSysctl(name, '0', node.layout.netns)
    await eventually(() => names.every(name => cluster.kernel.sysctl(name, node.layout.netns) === '1'), PATIENT)
    await everyoneReachesEveryone()
  })

  test('whose overlay device or anchor somebody takes away or down has it back soon, with the programs on it', async () => {
    const soon = { timeoutMs: 10_000 }
    const overlay = async (): Promise<boolean> => {
      using net = node.net()
      const link = net.link('cw-vxlan')
      const pins = readdirSync(join(node.layout.paths.bpf, 'links'))
      return link?.up === true && ['in', 'out'].every(way => pins.includes(`overlay_${way}_${link.index}`))
    }
    const far = cluster.station('node3-a')
    const reachFar = async (): Promise<boolean> => {
      const ways = [pod, cluster.station('node1')].flatMap(from => FAMILIES.map(family => ({ from, family })))
      const checks = ways.map(w => w.from.check('tcp', far.address(w.family), ECHO_PORT, 1000, '--timeout', 1000))
      return (await Promise.all(checks)).every(check => check.ok)
    }
    for (const change of [
      ['link', 'delete', 'cw-vxlan'],
      ['link', 'set', 'cw-vxlan', 'down'],
    ]) {
      await node.run(['ip', ...change])
      await eventually(async () => (await overlay()) && (await reachFar()), soon)
    }
    await node.run(['ip', 'link', 'delete', 'cw-anchor0'])
    const filters = async (side: string): Promise<string> =>
      (await runOrEmpty(['tc', 'filter', 'show', 'dev', 'cw-anchor0', side])).replaceAll('\n', ' ')
    await eventually(
      async () => /pod_out/.test(await filters('ingress')) && /pod_in/.test(await filters('egress')),
      soon,
    )
    await everyoneReachesEveryone()
  })
  /** Output of a program that may fail, as on a device that is not there at the moment. */
  async function runOrEmpty(command: readonly string[]): Promise<string> {
    return await node.run(command).catch(() => '')
  }

  test('learns of a node that joins and forgets one that leaves', async () => {
    const joins = nodeLayout(cluster.lab.layout, 77)
    const leavesTraces = async (): Promise<string> => {
      const rows = (await node.table('ipcache')).filter(r => r.node === 'node77' && !r.host).map(r => r.prefix)
      const routes = `${await node.run(['ip', 'route'])}${await node.run(['ip', '-6', 'route'])}`
      return [...rows.sort(), ...[...routes.matchAll(/^\S*71:?\S*77\S*|^10\.71\.77\S*/gm)].map(m => m[0])].join(' ')
    }
    const map = async (): Promise<boolean> => (await node.table('routes')).some(r => r.dst === '10.71.77.0/24')
    writeManifest(cluster.lab.layout, 'node77', nodeManifest(joins))
    await eventually(
      async () => (await leavesTraces()).includes('10.71.77.0/24 fd00:71:0:4d::/112 10.71.77.0/24'),
      PATIENT,
    )
    assert.ok(await map())
    removeManifest(cluster.lab.layout, 'node77')
    await eventually(async () => (await leavesTraces()) === '', PATIENT)
    assert.ok(!(await map()))
  })

  test('whose Node object disappears keeps its pods connected to each other and the host, and recovers', async () => {
    const local = await pod.stream(cluster.station('node1-b').address(4))
    const host = await pod.stream(node.addresses[0] ?? '')
    const attached = await node.programs()
    removeManifest(cluster.lab.layout, 'node1')
    await eventually(async () => !(await node.table('nodes')).some(n => n.name === 'node1'), PATIENT)
    const others = [cluster.node('node2'), cluster.node('node3')]
    for (const other of others)
      await eventually(async () => !(await other.table('ipcache')).some(r => r.node === 'node1'), PATIENT)
    assert.deepEqual(await node.programs(), attached)
    assert.ok(await isReady(node.layout, cluster.signal))
    assert.ok((await pod.check('tcp', cluster.station('node1-b').address(6), ECHO_PORT, 1000)).ok)
    writeManifest(cluster.lab.layout, 'node1', nodeManifest(node.layout))
    for (const from of ['node2-a', 'node3-a'].map(name => cluster.station(name)))
      for (const family of FAMILIES)
        await eventually(async () => (await from.check('tcp', pod.address(family), ECHO_PORT, 1)).ok, PATIENT)
    await everyoneReachesEveryone()
    assert.deepEqual([(await local.stop()).error, (await host.stop()).error], [undefined, undefined])
  })

  test('whose Node object appears late is not ready before, and says what it waits for', async () => {
    const late = cluster.node('node2')
    await late.endDaemon('SIGTERM')
    removeManifest(cluster.lab.layout, 'node2')
    const starting = late.startDaemon()
    await eventually(async () => {
      const status = await late.get('/v1/status').catch(() => undefined)
      return JSON.stringify(status ?? '').includes('no Node named node2')
    }, PATIENT)
    assert.equal(await isReady(late.layout, cluster.signal), false)
    writeManifest(cluster.lab.layout, 'node2', nodeManifest(late.layout))
    await starting
    await eventually(
      async () => (await pod.check('tcp', cluster.station('node2-a').address(4), ECHO_PORT, 1)).ok,
      PATIENT,
    )
    await everyoneReachesEveryone()
  })
})

function isPodDevice(name: string): boolean {
  return /^cw[0-9a-f]{12}$/.test(name)
}
