/**
 * A cluster in a storm, from a seed: pods come and go, nodes join and vanish, leaders stand still, calls fail in every way, leaders
 * die; then the weather clears, and everything must come to rest as it should. Throws Violation when something happens
 * that must never happen. The same seed is the same storm.
 */
import { MemoryAws } from '../memory/aws.ts'
import { MemoryAzure } from '../memory/azure.ts'
import type { MemoryCloud } from '../memory/cloud.ts'
import { NO_FAULTS } from '../memory/frontend.ts'
import { MemoryGcp } from '../memory/gcp.ts'
import { CloudFailure } from '../provider.ts'
import { randomOf } from '../simulate/random.ts'
import { Simulation } from '../simulate/simulation.ts'
import { checkRest } from './at-rest.ts'
import { Ledger } from './ledger.ts'
import { type CloudName, Dice, type Weather, weatherOf } from './weather.ts'

export interface StormOptions {
  readonly cloud: CloudName
  readonly seed: number
  /** Is told what happens. */
  readonly trace?: (line: string) => void
}

const CLOUDS = { aws: MemoryAws, azure: MemoryAzure, gcp: MemoryGcp } as const
/** Who stands still for longer leads no more. */
const LEASE_MS = 15_000
/** The longest rest is over by then, and two looks at everything have been had. */
export const CLEARED_MS = 480_000

export class Storm {
  readonly weather: Weather
  readonly simulation: Simulation
  readonly #dice: Dice
  readonly #ledger: Ledger
  readonly #trace: (line: string) => void
  readonly #pods = new Map<string, Set<string>>()
  #lastPod = 0
  #lastNode = 0
  #cleared = false
  /** The leader died while calls were under way. */
  died = false

  constructor({ cloud, seed, trace = () => {} }: StormOptions) {
    this.#dice = new Dice(randomOf(seed))
    this.weather = weatherOf(cloud, this.#dice)
    this.#trace = line => trace(`${(this.simulation.agenda.now() / 1000).toFixed(3)} ${line}`)
    this.#ledger = new Ledger(() => this.simulation)
    const { policy, limits, cooldownMs, subnets, staleMs, rate, deaths, deadly, faults, others } = this.weather
    this.simulation = new Simulation({
      seed: seed + 1_000_000,
      policy,
      limits,
      cooldownMs,
      subnets,
      staleMs,
      ...(rate === undefined ? {} : { rate }),
      cloud: options => this.#watched(new CLOUDS[cloud](options)),
      onAddress: (pod, node, _waitedMs, address) => this.#ledger.gave(pod, node, address),
      dies: step => {
        const dies = !this.#cleared && deadly.includes(step) && this.#dice.chance(deaths)
        if (dies) {
          this.died = true
          this.#trace(`the leader dies, having ${step}`)
        }
        return dies
      },
    })
    for (const { id } of subnets)
      for (let n = 0; n < others; n++)
        this.simulation.cloud.addMachine({ id: `other-${id}-${n}`, node: '', limits }, id)
    this.simulation.cloud.faults = faults
  }

  /** Until all is at rest, and right. */
  run(): void {
    const { agenda, cloud } = this.simulation
    const { events, gapsMs } = this.weather
    for (let n = 0; n < this.weather.nodes; n++) this.#addNode()
    for (let n = 0; n < events; n++) {
      agenda.run(agenda.now() + this.#dice.below(this.#dice.of(gapsMs)))
      this.#event()
    }
    this.#cleared = true
    cloud.faults = NO_FAULTS
    this.#trace('the weather clears')
    agenda.run(agenda.now() + CLEARED_MS)
    checkRest(this)
  }

  #event(): void {
    const { freezes, vanishes } = this.weather
    const { nodes } = this.simulation
    const node = nodes[this.#dice.below(nodes.length)]
    if (this.#dice.chance(freezes)) {
      const ms = this.#dice.between(100, LEASE_MS)
      this.#trace(`the leader stands still for ${ms} ms`)
      this.simulation.freeze(ms, this.#dice.chance(0.5))
    } else if (node === undefined || this.#dice.chance(vanishes / 2)) this.#addNode()
    else if (this.#dice.chance(vanishes)) this.#removeNode(node)
    else if (this.simulation.cloud instanceof MemoryAws && this.#dice.chance(0.02)) this.#attachForeign(node)
    else if (this.#dice.chance(0.5)) this.#addPods(node)
    else this.#removePods(node)
  }

  #addNode(): void {
    const { subnets, twoNics } = this.weather
    const subnet = subnets[this.#dice.below(subnets.length)]?.id ?? ''
    // A name may come back.
    const name = `node-${this.#dice.chance(0.5) ? ++this.#lastNode : this.#dice.between(1, Math.max(1, this.#lastNode))}`
    if (this.simulation.nodes.includes(name)) return
    this.#trace(`${name} joins`)
    if (!hadRoom(() => this.simulation.addNode(name, subnet, twoNics ? [subnet] : []))) return
    this.#pods.set(name, new Set())
  }

  #removeNode(name: string): void {
    this.#trace(`${name} vanishes`)
    for (const pod of this.#pods.get(name) ?? []) this.#ledger.left(pod, name)
    this.#pods.delete(name)
    this.simulation.removeNode(name)
  }

  #attachForeign(node: string): void {
    const { cloud } = this.simulation
    const machine = this.simulation.machine(node) ?? ''
    if (!(cloud instanceof MemoryAws)) return
    this.#trace(`somebody attaches to ${machine}`)
    hadRoom(() => cloud.attachForeign(machine, this.weather.subnets[0]?.id ?? ''))
  }

  #addPods(node: string): void {
    const pods = this.#pods.get(node) ?? new Set()
    const room = this.weather.policy.maxPods - pods.size
    const count = Math.min(room, this.#dice.of(this.weather.bursts))
    if (count > 0) this.#trace(`${node} gets ${count} pods`)
    for (let n = 0; n < count; n++) {
      const pod = `pod-${++this.#lastPod}`
      pods.add(pod)
      this.simulation.add(node, pod)
    }
  }

  #removePods(node: string): void {
    const pods = this.#pods.get(node) ?? new Set()
    let count = this.#dice.of([...this.weather.bursts, 40])
    this.#trace(`${node} loses ${Math.min(count, pods.size)} pods`)
    for (const pod of pods) {
      if (count-- <= 0) break
      pods.delete(pod)
      this.#ledger.left(pod, node)
      this.simulation.remove(node, pod)
    }
  }

  #watched(cloud: MemoryCloud): MemoryCloud {
    cloud.onChange = (before, after) => {
      this.#trace(`  cloud: ${JSON.stringify(before)} -> ${JSON.stringify(after)}`)
      this.#ledger.changed(before, after)
    }
    return traced(cloud, this.#trace)
  }
}

/** False where a subnet was full. */
function hadRoom(make: () => void): boolean {
  try {
    make()
    return true
  } catch (error) {
    if (error instanceof CloudFailure) return false
    throw error
  }
}

/** The same, and tells of each call. */
function traced(cloud: MemoryCloud, trace: (line: string) => void): MemoryCloud {
  const call = cloud.call.bind(cloud)
  let last = 0
  cloud.call = (machine, made, done) => {
    const n = ++last
    trace(`  call ${n} of ${machine}: ${JSON.stringify(made)}`)
    call(machine, made, answer => {
      trace(`  call ${n} is answered: ${'message' in answer ? answer.message : JSON.stringify(answer.nics)}`)
      done(answer)
    })
  }
  return cloud
}
