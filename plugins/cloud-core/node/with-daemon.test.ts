/** The pool under the daemon's own handling of pods and its journal on disk, over kills and restarts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CloudSpec, writeCloudSpec } from '../../../daemon/cluster/parse-cloud-spec.ts'
import type { Ipam } from '../../../daemon/plugin.ts'
import { systemClock } from '../../../daemon/state/clock.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { type FakeHost, fakeHost } from '../../../test/support/fake-host.ts'
import { MemoryNode } from '../../../test/support/memory-node.ts'
import { SmallIpam } from '../../../test/support/small-ipam.ts'
import { cloudPlugin } from './node-plugin.ts'
import { parseCloudOptions } from './options.ts'

type Phase = CloudSpec['blocks'][number]['phase']

/** A node whose pools are the cloud's and an overlay's; the spec is what the daemon finds at its next start, too. */
class World implements AsyncDisposable {
  readonly node: MemoryNode
  readonly #hosts: FakeHost[] = []
  readonly #section: unknown
  #spec: CloudSpec = specOf([])

  private constructor(section: unknown) {
    this.#section = section
    const lives = (): readonly Ipam[] => [this.#begin(), new SmallIpam({ size: 50, pool: 'overlay' })]
    this.node = new MemoryNode({
      endpoints: {
        families: [4],
        // Asked for by each life of the daemon.
        get ipams() {
          return lives()
        },
      },
    })
  }

  static async start(section: unknown = {}): Promise<World> {
    const world = new World(section)
    await world.node.daemon.endpoints.restore()
    return world
  }

  get host(): FakeHost {
    return this.#hosts.at(-1) ?? assert.fail()
  }
  get drained(): string {
    return [...this.host.tables.cloudReports.values()]
      .flatMap(row => row.drained.map(({ block, born }) => `${block} ${born}`))
      .join()
  }

  says(blocks: readonly (readonly [block: string, phase: Phase, born: number])[], shortage = ''): void {
    this.#spec = specOf(blocks, shortage)
    this.#write()
  }

  #write(): void {
    const { tables } = this.host
    writeCloudSpec(tables, this.#spec)
    const blocks = this.#spec.blocks.map(row => row.block)
    const device = { usable: true, why: '', name: 'ens5', index: 2, mtu: 9001, place: 0 }
    tables.cloudDevices.put({ id: 'eni-1', ...device, blocks, addresses: [], gateways: [] })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]()
    for (const host of this.#hosts) await host.stop()
  }

  #begin(): Ipam {
    const host = fakeHost()
    this.#hosts.push(host)
    this.#write()
    const parse = () => parseCloudOptions('aws-eni', { cooldownSeconds: 0, ...Object(this.#section) })
    const parts = cloudPlugin({ name: 'aws-eni', provider: 'aws', parse }, systemClock).configure({})(host)
    assert.ok(!(parts instanceof Promise) && parts.ipam)
    void parts.run?.(host.signal)
    return parts.ipam
  }
}

function specOf(blocks: readonly (readonly [string, Phase, number])[], shortage = ''): CloudSpec {
  const nic = { id: 'eni-1', mac: '02:00:00:00:00:01', index: 0, subnetCidrs: [], addresses: [], blocks: [] }
  return {
    machine: { provider: 'aws', machine: 'i-1', network: 'u1', shortage },
    nics: [nic],
    blocks: blocks.map(([block, phase, born]) => ({ block, nic: 'eni-1', phase, born })),
  }
}

const addressOf = (result: { readonly ips: readonly { readonly address: string }[] }): string =>
  result.ips.map(({ address }) => address).join()

test('a block that was given up is not given again by the next daemon, whatever copy of the spec it finds', async () => {
  await using world = await World.start()
  const { node } = world
  world.says([['10.0.0.16/31', 'allocatable', 1]])
  assert.equal(addressOf(await node.add('a')), '10.0.0.16/32')
  world.says([['10.0.0.16/31', 'draining', 1]])
  await node.restart()
  assert.equal(world.drained, '', 'a pod has an address of it')
  await node.del('a')
  await eventually(() => world.drained === '10.0.0.16/31 1')
  world.says([['10.0.0.16/31', 'allocatable', 1]])
  await node.restart()
  await assert.rejects(node.add('b', { deadlineMs: 300 }), (error: unknown) => {
    const { code, cause } = error as { readonly code: string; readonly cause: unknown }
    return code === 'NO_ADDRESS' && /no IPv4 addresses: more are asked of AWS/.test(String(cause))
  })
  world.says([['10.0.0.16/31', 'allocatable', 2]])
  assert.equal(addressOf(await node.add('b')), '10.0.0.16/32')
})

test('an ADD that waits when the daemon is killed leaves nothing, and gets an address from the next', async () => {
  await using world = await World.start()
  const { node } = world
  world.says([])
  const waiting = node.add('a').then(
    () => 'served',
    () => 'ended',
  )
  await eventually(() => [...world.host.tables.cloudReports.values()][0]?.demand[0]?.waiting === 1)
  await node.restart()
  const again = node.add('a')
  await eventually(() => [...world.host.tables.cloudReports.values()][0]?.demand[0]?.waiting === 1)
  world.says([['10.0.0.16/32', 'allocatable', 1]])
  assert.equal(addressOf(await again), '10.0.0.16/32')
  assert.equal(await Promise.race([waiting, Promise.resolve('waits')]), 'waits')
})

test('a hundred pods at once wait in one demand and are served by the answer', async () => {
  await using world = await World.start()
  const { node } = world
  world.says([])
  const pods = Array.from({ length: 100 }, (_, i) => node.add(`p${i}`, { deadlineMs: 20_000 }))
  await eventually(() => [...world.host.tables.cloudReports.values()][0]?.demand[0]?.waiting === 100)
  world.says(Array.from({ length: 7 }, (_, i) => [`10.0.0.${16 * i}/28`, 'allocatable', i + 1] as const))
  const addresses = (await Promise.all(pods)).map(addressOf)
  assert.equal(new Set(addresses).size, 100)
  await eventually(() => [...world.host.tables.cloudReports.values()][0]?.demand[0]?.assigned === 100)
  assert.equal([...world.host.tables.cloudReports.values()][0]?.demand[0]?.waiting, 0)
})

test('in a shortage an ADD fails at once, or goes on with the pool in its place, whose address outlives a restart', async () => {
  await using world = await World.start({ fallbackPool: 'overlay' })
  const { node } = world
  world.says([], 'subnet-1 is full')
  const began = performance.now()
  await assert.rejects(node.add('a', { deadlineMs: 20_000 }), { code: 'NO_ADDRESS' })
  assert.ok(performance.now() - began < 5000)
  world.host.tables.namespaces.put({ name: 'default', labels: {}, fallbackPool: true })
  assert.equal(addressOf(await node.add('a')), '10.1.0.1/32')
  assert.equal(node.daemon.tables.endpoints.get('causeway/a/eth0')?.pool, 'overlay')
  await node.restart()
  assert.equal(node.daemon.tables.endpoints.get('causeway/a/eth0')?.addresses.join(), '10.1.0.1')
  assert.equal(world.host.tables.cloudReports.size, 1)
})

test('the node can start pods while more may come or a pool stands in, and not in a shortage', async () => {
  for (const [section, shortage, available] of [
    [{}, '', true],
    [{}, 'subnet-1 is full', false],
    [{ fallbackPool: 'overlay' }, 'subnet-1 is full', true],
  ] as const) {
    await using world = await World.start(section)
    world.says([], shortage)
    const ask = () => world.node.daemon.endpoints.status()
    if (available) ask()
    else assert.throws(ask, { code: 'NOT_AVAILABLE' })
  }
})
