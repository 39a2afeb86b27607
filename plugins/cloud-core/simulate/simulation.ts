/** The leader, the nodes' daemons and a cloud in memory, in a time of their own: the very core and scheduler that the operator runs. */
import { Fleet } from '../fleet.ts'
import { MemoryAws } from '../memory/aws.ts'
import type { MemoryCloud, MemoryCloudOptions } from '../memory/cloud.ts'
import type { Failure, Limits, Policy, SubnetId } from '../model.ts'
import { NOTHING_PUBLISHED, type Pending, type Published } from '../node-state.ts'
import type { Rate } from '../provider.ts'
import type { DemandEvent } from '../step.ts'
import { Agenda } from './agenda.ts'
import { Agent } from './agent.ts'
import type { Contender } from './contender.ts'
import { randomOf } from './random.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly policy: Policy
  readonly limits: Limits
  readonly cooldownMs: number
  readonly subnets: MemoryCloudOptions['subnets']
  /** EC2 by default. */
  readonly cloud?: (options: MemoryCloudOptions) => MemoryCloud
  readonly staleMs?: number
  /** Of every budget of the cloud, instead of its own. */
  readonly rate?: Rate
  readonly onAddress?: (pod: string, node: string, waitedMs: number, address: number) => void
  /** Called wherever the leader may die, with what it has just done; true when it dies there. */
  readonly dies?: (done: LeaderStep) => boolean
}

/** Has decided, has written down, has sent a call, has taken in an answer. */
export type LeaderStep = 'decided' | 'published' | 'called' | 'answered'

/** From a write to the API server until whoever watches has it. */
const API_SERVER_MS = 10
const SWEEP_MS = 120_000

interface SimulatedNode {
  /** Differs between nodes of one name. */
  readonly uid: string
  readonly machine: string
  readonly agent: Agent
  /** What the API server has of it. */
  published: Published
  said: DemandEvent | undefined
}

export class Simulation implements Contender {
  readonly agenda = new Agenda()
  readonly cloud: MemoryCloud
  readonly #options: SimulationOptions
  readonly #random: () => number
  readonly #nodes = new Map<string, SimulatedNode>()
  readonly #nodeOf = new Map<string, SimulatedNode>()
  /** Undefined while nobody leads. */
  #fleet: Fleet | undefined
  #cancel = (): void => {}
  /** Of the leader: what comes for one that is gone is lost. */
  #term = 0
  /** What the leader's clock shows beyond the time of the simulation. */
  #aheadMs = 0
  #lastUid = 0
  /** It does nothing until then. */
  #thawMs = 0

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#random = randomOf(options.seed)
    const make = options.cloud ?? (o => new MemoryAws(o))
    const { subnets, staleMs = 0, rate } = options
    const rates = rate === undefined ? {} : { rate }
    this.cloud = make({ timer: this.agenda, random: this.#random, subnets, staleMs, ...rates })
    this.cloud.onDevice = (machine, nic, there) => this.#nodeOf.get(machine)?.agent.device(nic.id, there)
    this.#fleet = this.#newFleet(Infinity)
  }

  /** Of the leader, if there is one. */
  get fleet(): Fleet | undefined {
    return this.#fleet
  }
  agent(name: string): Agent | undefined {
    return this.#nodes.get(name)?.agent
  }
  machine(name: string): string | undefined {
    return this.#nodes.get(name)?.machine
  }
  published(name: string): Published | undefined {
    return this.#nodes.get(name)?.published
  }
  /** Names of nodes. */
  get nodes(): readonly string[] {
    return [...this.#nodes.keys()]
  }

  /** Throws CloudFailure where its subnets have no address for it. */
  addNode(name: string, subnet: SubnetId, further: readonly SubnetId[] = []): void {
    const { policy, limits, cooldownMs, onAddress } = this.#options
    const { agenda } = this
    const uid = `${name}.${++this.#lastUid}`
    const machine = `i-${uid}`
    this.cloud.addMachine({ id: machine, node: name, limits }, subnet, further)
    const agent = new Agent({
      agenda,
      cooldownMs,
      releaseDelayMs: policy.releaseDelayMs,
      report: event => agenda.after(API_SERVER_MS, () => this.#says(name, uid, event)),
      onAddress: (pod, address, waitedMs) => {
        // What runs on a machine that has ended is no matter.
        if (this.#nodeOf.has(machine)) onAddress?.(pod, name, waitedMs, address)
      },
    })
    const node: SimulatedNode = { uid, machine, agent, published: NOTHING_PUBLISHED, said: undefined }
    this.#nodes.set(name, node)
    this.#nodeOf.set(machine, node)
    for (const nic of this.cloud.nics.values()) if (nic.machine === machine) agent.device(nic.id, true)
    this.#join(name, node)
    this.#wake()
  }

  /** The node is gone from the cluster, and its machine ends. */
  removeNode(name: string): void {
    const node = this.#nodes.get(name)
    if (node === undefined) return
    this.#nodes.delete(name)
    this.#nodeOf.delete(node.machine)
    this.#fleet?.delete(name)
    this.cloud.removeMachine(node.machine)
    this.#wake()
  }

  add(node: string, pod: string): void {
    this.agent(node)?.add(pod)
  }
  remove(node: string, pod: string): void {
    this.agent(node)?.remove(pod)
  }

  /** The leader does nothing for so long; its clock goes on, or stands still when its machine was suspended. */
  freeze(ms: number, suspended: boolean): void {
    this.#thawMs = Math.max(this.#thawMs, this.agenda.now() + ms)
    if (suspended) this.#turn(() => (this.#aheadMs -= ms))
  }

  /** The leader is gone, at once, in the middle of what it does; after so long another one begins with what was written down. */
  killLeader(afterMs = 0): void {
    this.#term++
    this.#cancel()
    this.#fleet = undefined
    this.#thawMs = 0
    this.#ofTerm(afterMs, () => {
      this.#aheadMs = Math.floor(this.#random() * 1_000_000)
      this.#fleet = this.#newFleet(afterMs)
      for (const [name, node] of this.#nodes) this.#join(name, node)
      this.#wake()
    })
  }

  #newFleet(quietMs: number): Fleet {
    const { budgets } = this.cloud
    return new Fleet({ budget: kind => budgets[kind], sweepMs: SWEEP_MS, random: this.#random, quietMs }, this.#now())
  }

  #join(name: string, { uid, machine, published, said }: SimulatedNode): void {
    const { policy, subnets } = this.#options
    const node = { name, uid, machine, policy, subnets: subnets.map(({ id }) => id) }
    this.#fleet?.put(node, published, this.#now())
    if (said !== undefined) this.#fleet?.demand(name, said, this.#now())
  }

  #says(name: string, uid: string, event: DemandEvent): void {
    const node = this.#nodes.get(name)
    if (node?.uid !== uid) return
    node.said = event
    this.#turn(() => {
      if (this.#nodes.get(name) === node) this.#fleet?.demand(name, event, this.#now())
      this.#wake()
    })
  }

  /** As the leader's clock shows it. */
  #now(): number {
    return this.agenda.now() + this.#aheadMs
  }

  /** Does what is to be done now, and comes again when there is more. */
  #wake(): void {
    this.#cancel()
    if (this.#fleet === undefined) return
    const now = this.#now()
    const next = Math.max(now, this.#fleet.nextMs(now))
    if (next === Infinity) return
    const turn = (): void =>
      this.#turn(() => {
        this.#act()
        this.#wake()
      })
    this.#cancel = this.agenda.after(next - now, turn)
  }

  #act(): void {
    const fleet = this.#fleet
    if (fleet === undefined) return
    const now = this.#now()
    const { nodes, leftovers, limits, sweep } = fleet.take(now)
    if (this.#dies('decided')) return
    for (const name of limits) fleet.limits(name, this.#options.limits, now)
    for (const { node, publish, calls } of nodes) {
      const uid = this.#nodes.get(node)?.uid
      if (publish === undefined) this.#make(node, uid, calls)
      else this.#ofTerm(API_SERVER_MS, () => this.#publish(node, uid, publish, calls))
    }
    for (const nic of leftovers)
      this.cloud.call(
        '',
        { kind: 'delete', nic },
        this.#answered(answer => fleet.leftoverSettled(nic, isFailure(answer) ? answer : undefined, this.#now())),
      )
    if (sweep)
      this.cloud.sweep(
        this.#answered(answer => {
          if (isFailure(answer)) fleet.sweepFailed(answer, this.#now())
          else fleet.swept(answer, now, this.#now())
        }),
      )
  }

  #publish(name: string, uid: string | undefined, publish: Published, calls: readonly Pending[]): void {
    const node = this.#nodes.get(name)
    if (node?.uid !== uid || node === undefined) return
    node.published = publish
    this.agenda.after(API_SERVER_MS / 2, () => node.agent.published(publish))
    this.#turn(() => {
      if (!this.#dies('published')) this.#make(name, uid, calls)
    })
  }

  #make(name: string, uid: string | undefined, calls: readonly Pending[]): void {
    const node = this.#nodes.get(name)
    const fleet = this.#fleet
    if (node === undefined || node.uid !== uid || fleet === undefined) return
    for (const { id, call } of calls) {
      this.cloud.call(
        node.machine,
        call,
        this.#answered(answer => {
          if (isFailure(answer)) fleet.failed(name, id, answer, this.#now())
          else fleet.replied(name, id, answer, this.#now())
        }),
      )
      if (this.#dies('called')) return
    }
  }

  #dies(done: LeaderStep): boolean {
    if (this.#options.dies?.(done) !== true) return false
    this.killLeader(Math.floor(this.#random() * 20_000))
    return true
  }

  /** Now, or when the leader goes on. */
  #turn(callback: () => void): void {
    if (this.agenda.now() < this.#thawMs) this.#ofTerm(this.#thawMs - this.agenda.now(), callback)
    else callback()
  }

  #ofTerm(ms: number, callback: () => void): void {
    const term = this.#term
    this.agenda.after(ms, () => {
      if (term === this.#term) callback()
    })
  }

  #answered<T>(take: (answer: T) => void): (answer: T) => void {
    const term = this.#term
    return answer => {
      if (term !== this.#term) return
      this.#turn(() => {
        take(answer)
        if (!this.#dies('answered')) this.#wake()
      })
    }
  }
}

function isFailure(answer: object): answer is Failure {
  return 'message' in answer
}
