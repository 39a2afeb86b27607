/**
 * Random lives of a node and an operator that keeps to its part: no address twice, none of a block that the node has said
 * it gave up, none of one that is not allocatable; and an operator that reads stale state or dies loses nothing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { covers, parseAddress, parsePrefix } from '../../../daemon/kernel/ip.ts'
import type { Lease, Released } from '../../../daemon/plugin.ts'
import type { CloudBlockRow } from '../../../daemon/state/cloud-rows.ts'
import { CloudNode } from '../../../test/support/cloud-node.ts'
import { settle } from '../../../test/support/fake-clock.ts'
import { Random } from '../../../test/support/random.ts'
import { cloudPlugin } from './node-plugin.ts'
import { parseCloudOptions } from './options.ts'

const SEEDS = Number(process.env.CW_SEEDS ?? 200)
const STEPS = 80
const COOLDOWN_MS = 10_000
const SECTION = { cooldownSeconds: COOLDOWN_MS / 1000, releaseDelaySeconds: 20 }
const BLOCKS = ['10.0.0.0/30', '10.0.0.4/30', '10.0.0.8/31', '10.0.0.10/32', '10.0.0.11/32', '10.0.0.16/30']
const NICS = [
  { id: 'eni-1', index: 0 },
  { id: 'eni-2', index: 1 },
]

interface Held {
  readonly lease: Lease
  /** The life of the block that it is of. */
  readonly of: string
}

/** The world around one node, and what must hold in it. */
class World {
  readonly node: CloudNode
  readonly random: Random
  readonly log: string[] = []
  /** The operator's spec, by block. What the cloud has taken back is not in it. */
  readonly spec = new Map<string, CloudBlockRow>()
  /** What the node reads, which may be older. */
  #told = new Map<string, CloudBlockRow>()
  /** What it read before, the newest last. */
  readonly #read: ReadonlyMap<string, CloudBlockRow>[] = []
  readonly held = new Map<string, Held>()
  readonly released: { lease: Lease; atMs: number }[] = []
  /** Lives that the node has told were given up, by any of its daemons. */
  readonly gaveUp = new Set<string>()
  readonly plugged = new Set(['eni-1'])
  #born = 0
  #shortage = ''
  #pods = 0

  constructor(node: CloudNode, random: Random) {
    this.node = node
    this.random = random
  }

  get nowMs(): number {
    return this.node.clock.now()
  }

  async step(): Promise<void> {
    const steps: readonly (readonly [weight: number, step: () => Promise<string>])[] = [
      [30, () => this.#add()],
      [22, () => this.#delete()],
      [12, () => this.#grow()],
      [10, () => this.#drain()],
      [8, () => this.#settleDrained()],
      [8, () => this.#cancel()],
      [14, () => this.#publish()],
      [5, () => this.#restart()],
      [8, () => this.#wait()],
      [3, () => this.#toggleShortage()],
      [2, () => this.#plug()],
      [3, () => this.#loseDisk()],
    ]
    let choice = this.random.below(steps.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, step] of steps) {
      choice -= weight
      if (choice >= 0) continue
      this.log.push(`${this.nowMs} ${await step()}`)
      break
    }
    await settle()
    for (const { block, born } of this.node.report.drained) this.gaveUp.add(`${block} ${born}`)
    this.#check()
  }

  async #add(): Promise<string> {
    const owner = `p${++this.#pods}`
    const patience = new AbortController()
    const answer = this.node.take(owner, {}, patience.signal).then(
      lease => lease,
      (error: unknown) => String(error),
    )
    await settle()
    patience.abort()
    const lease = await answer
    if (typeof lease === 'string') return `${owner} gets nothing: ${lease}`
    const story = `${owner} gets ${lease.address}`
    const row = [...this.#told.values()].find(({ block }) => covers(parsePrefix(block), parseAddress(lease.address)))
    assert.ok(row, this.#story(`${story}, which is of no block that the node was told of`))
    assert.equal(row.phase, 'allocatable', this.#story(story))
    assert.ok(this.plugged.has(row.nic), this.#story(`${story} of an absent device`))
    const of = `${row.block} ${row.born}`
    assert.ok(!this.gaveUp.has(of), this.#story(`${story} of ${of}, which was given up`))
    const cooling = this.released.find(
      each => each.lease.address === lease.address && each.atMs + COOLDOWN_MS > this.nowMs,
    )
    assert.equal(cooling, undefined, this.#story(`${story}, which cools down`))
    this.held.set(owner, { lease, of })
    return story
  }

  async #delete(): Promise<string> {
    if (this.held.size === 0) return 'nobody to delete'
    const [owner, { lease }] = this.random.pick([...this.held])
    await this.node.release(lease)
    this.held.delete(owner)
    this.released.push({ lease, atMs: this.nowMs })
    return `${owner} gives back ${lease.address}`
  }

  /** The cloud gives a block, as a new life; one that is there or on its way back it does not give. */
  async #grow(): Promise<string> {
    const block = this.random.pick(BLOCKS)
    if (this.spec.has(block)) return `${block} is there`
    const { id } = this.random.pick(NICS)
    this.spec.set(block, { block, nic: id, phase: 'allocatable', born: ++this.#born })
    return `the cloud gives ${block} ${this.#born}`
  }

  async #drain(): Promise<string> {
    const rows = [...this.spec.values()].filter(({ phase }) => phase === 'allocatable')
    if (rows.length === 0) return 'nothing to drain'
    const row = this.random.pick(rows)
    this.spec.set(row.block, { ...row, phase: 'draining' })
    return `${row.block} ${row.born} is to drain`
  }

  /** The operator acts on what the node has said: it takes drained blocks back, through all phases. */
  async #settleDrained(): Promise<string> {
    const taken: string[] = []
    for (const row of this.spec.values()) {
      const life = `${row.block} ${row.born}`
      if (row.phase !== 'draining' || !this.node.report.drained.some(({ block, born }) => `${block} ${born}` === life))
        continue
      this.#mustBeUnused(life)
      this.spec.delete(row.block)
      taken.push(life)
    }
    return `the cloud takes back ${taken.join(', ') || 'nothing'}`
  }

  async #cancel(): Promise<string> {
    const rows = [...this.spec.values()].filter(({ phase }) => phase === 'draining')
    if (rows.length === 0) return 'nothing to cancel'
    const row = this.random.pick(rows)
    this.spec.set(row.block, { ...row, phase: 'allocatable', born: ++this.#born })
    return `${row.block} is wanted again, as ${this.#born}`
  }

  async #publish(): Promise<string> {
    this.#read.push(this.#told)
    this.#told = new Map(this.spec)
    await this.#say()
    return 'the node reads the spec'
  }

  async #say(): Promise<void> {
    await this.node.says({ nics: NICS, blocks: [...this.#told.values()], shortage: this.#shortage })
  }

  /** With the copy of the spec that its daemon had, or an older one: the API server is away. */
  async #restart(): Promise<string> {
    const released = this.released
      .filter(({ lease }) => ![...this.held.values()].some(held => held.lease.address === lease.address))
      .map(({ lease, atMs }): Released => ({ lease, agoMs: this.nowMs - atMs }))
    await this.node.restart(
      [...this.held.values()].map(({ lease }) => lease),
      released,
    )
    const copy = this.random.chance(0.5) ? this.#read.slice(-4)[this.random.below(4)] : undefined
    if (copy === undefined) return 'the daemon starts again'
    this.#told = new Map(copy)
    await this.#say()
    return 'the daemon starts again with an old copy'
  }

  async #wait(): Promise<string> {
    const ms = this.random.pick([100, 1000, 5000, 12_000, 30_000])
    await this.node.clock.advance(ms)
    return `${ms} ms pass`
  }

  async #toggleShortage(): Promise<string> {
    this.#shortage = this.#shortage === '' ? 'full' : ''
    await this.#say()
    return `shortage: '${this.#shortage}'`
  }

  async #plug(): Promise<string> {
    const usable = !this.plugged.has('eni-2')
    if (usable) this.plugged.add('eni-2')
    else this.plugged.delete('eni-2')
    this.node.plug('eni-2', usable)
    return `the device of eni-2 ${usable ? 'appears' : 'goes'}`
  }

  async #loseDisk(): Promise<string> {
    this.node.notes.full = !this.node.notes.full
    return `the disk is ${this.node.notes.full ? 'full' : 'good'}`
  }

  #mustBeUnused(life: string): void {
    const used = [...this.held].filter(([, { of }]) => of === life).map(([owner]) => owner)
    assert.deepEqual(used, [], this.#story(`${life} is taken back`))
  }

  #check(): void {
    const addresses = [...this.held.values()].map(({ lease }) => lease.address)
    assert.equal(new Set(addresses).size, addresses.length, this.#story('an address twice'))
    for (const life of this.gaveUp) this.#mustBeUnused(life)
    const [demand] = this.node.report.demand
    const inBlocks = addresses.filter(address =>
      [...this.#told.keys()].some(block => covers(parsePrefix(block), parseAddress(address))),
    )
    assert.equal(demand?.assigned, inBlocks.length, this.#story('assigned addresses'))
    for (const block of this.node.report.idle)
      assert.ok(
        !addresses.some(address => covers(parsePrefix(block), parseAddress(address))),
        this.#story(`${block} idle`),
      )
  }

  #story(what: string): string {
    return `${what}; ${this.random.replay}\n${this.log.slice(-25).join('\n')}`
  }
}

const plugin = (clock: Parameters<typeof cloudPlugin>[1]) =>
  cloudPlugin({ name: 'aws-eni', provider: 'aws', parse: raw => parseCloudOptions('aws-eni', raw) }, clock)

test(`${SEEDS} random lives give no address twice, and none that the node gave up`, async () => {
  const only = process.env.CW_SEED
  let [given, gaveUp] = [0, 0]
  for (let seed = 1; seed <= (only === undefined ? SEEDS : 1); seed++) {
    const random = new Random(only === undefined ? seed : Number(only))
    await using node = await CloudNode.start(plugin, { section: SECTION })
    const world = new World(node, random)
    for (let step = 0; step < STEPS; step++) await world.step()
    given += world.released.length + world.held.size
    gaveUp += world.gaveUp.size
  }
  // Lives in which nothing happens would prove nothing.
  if (only === undefined) assert.ok(given > SEEDS * 5 && gaveUp > SEEDS, `${given} given, ${gaveUp} blocks given up`)
})
