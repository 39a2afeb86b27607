/** The leader, the nodes' daemons and a cloud in memory, in a time of their own: the very core and scheduler that the operator runs. */
import { Fleet } from '../fleet.ts'
import { AWS_BUDGETS, MemoryAws, type AwsOptions } from '../memory/aws.ts'
import type { Failure, Limits, Policy, SubnetId } from '../model.ts'
import { NOTHING_PUBLISHED, type Pending, type Published } from '../node-state.ts'
import { Agenda } from './agenda.ts'
import { Agent } from './agent.ts'
import type { Contender } from './contender.ts'
import { randomOf } from './random.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly policy: Policy
  readonly limits: Limits
  readonly cooldownMs: number
  readonly subnets: AwsOptions['subnets']
  readonly aws?: Partial<AwsOptions>
  readonly onAddress?: (pod: string, node: string, waitedMs: number) => void
}

/** From a write to the API server until whoever watches has it. */
const API_SERVER_MS = 10
const SWEEP_MS = 120_000

export class Simulation implements Contender {
  readonly agenda = new Agenda()
  readonly cloud: MemoryAws
  readonly agents = new Map<string, Agent>()
  readonly #options: SimulationOptions
  readonly #random: () => number
  /** What the API server has of each node. */
  readonly #published = new Map<string, Published>()
  #fleet: Fleet
  #cancel = (): void => {}
  /** Of the leader: what comes for one that is gone is lost. */
  #term = 0

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#random = randomOf(options.seed)
    this.cloud = new MemoryAws({ timer: this.agenda, random: this.#random, subnets: options.subnets, ...options.aws })
    this.cloud.onDevice = (machine, nic, there) => this.agents.get(nodeOf(machine))?.device(nic.id, there)
    this.#fleet = this.#newFleet()
  }

  get fleet(): Fleet {
    return this.#fleet
  }

  addNode(name: string, subnet: SubnetId): void {
    const machine = machineOf(name)
    const { policy, limits, cooldownMs, onAddress } = this.#options
    const agent = new Agent({
      agenda: this.agenda,
      cooldownMs,
      releaseDelayMs: policy.releaseDelayMs,
      report: event => this.#soon(() => this.#fleet.demand(name, event, this.agenda.now())),
      onAddress: (pod, _address, waitedMs) => onAddress?.(pod, name, waitedMs),
    })
    this.agents.set(name, agent)
    this.cloud.addMachine({ id: machine, node: name, limits }, subnet)
    for (const nic of this.cloud.nics.values()) if (nic.machine === machine) agent.device(nic.id, true)
    this.#join(name)
  }

  add(node: string, pod: string): void {
    this.agents.get(node)?.add(pod)
  }
  remove(node: string, pod: string): void {
    this.agents.get(node)?.remove(pod)
  }

  /** The leader is gone in the middle of what it does; another one begins with what was written down. */
  killLeader(): void {
    this.#term++
    this.#fleet = this.#newFleet()
    for (const name of this.agents.keys()) this.#join(name)
  }

  #newFleet(): Fleet {
    const budget = (kind: keyof typeof AWS_BUDGETS) => AWS_BUDGETS[kind]
    return new Fleet({ budget, sweepMs: SWEEP_MS, random: this.#random }, this.agenda.now())
  }

  #join(name: string): void {
    const { policy, subnets } = this.#options
    const node = { name, uid: `uid-${name}`, machine: machineOf(name), policy, subnets: subnets.map(({ id }) => id) }
    this.#fleet.put(node, this.#published.get(name) ?? NOTHING_PUBLISHED, this.agenda.now())
    this.#wake()
  }

  /** Does what is to be done now, and comes again when there is more. */
  #wake(): void {
    this.#cancel()
    const now = this.agenda.now()
    const next = Math.max(now, this.#fleet.nextMs(now))
    if (next === Infinity) return
    this.#cancel = this.agenda.after(next - now, () => {
      this.#act()
      this.#wake()
    })
  }

  #act(): void {
    const now = this.agenda.now()
    const { nodes, leftovers, limits, sweep } = this.#fleet.take(now)
    for (const name of limits) this.#fleet.limits(name, this.#options.limits, now)
    for (const { node, publish, calls } of nodes) {
      if (publish === undefined) this.#make(node, calls)
      else
        this.#ofTerm(API_SERVER_MS, () => {
          this.#published.set(node, publish)
          this.agenda.after(API_SERVER_MS / 2, () => this.agents.get(node)?.published(publish))
          this.#make(node, calls)
        })
    }
    for (const nic of leftovers)
      this.cloud.call('', { kind: 'delete', nic }, answer => {
        this.#told(() => this.#fleet.leftoverSettled(nic, isFailure(answer) ? answer : undefined, this.agenda.now()))
      })
    if (sweep)
      this.cloud.sweep(
        this.#answered(answer => {
          if (isFailure(answer)) this.#fleet.sweepFailed(answer, this.agenda.now())
          else this.#fleet.swept(answer, now, this.agenda.now())
        }),
      )
  }

  #make(node: string, calls: readonly Pending[]): void {
    for (const { id, call } of calls)
      this.cloud.call(
        machineOf(node),
        call,
        this.#answered(answer => {
          if (isFailure(answer)) this.#fleet.failed(node, id, answer, this.agenda.now())
          else this.#fleet.replied(node, id, answer, this.agenda.now())
        }),
      )
  }

  /** After a way through the API server. */
  #soon(tell: () => void): void {
    this.#ofTerm(API_SERVER_MS, () => this.#told(tell))
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
      if (term === this.#term) this.#told(() => take(answer))
    }
  }

  #told(tell: () => void): void {
    tell()
    this.#wake()
  }
}

export function machineOf(node: string): string {
  return `i-${node}`
}

function nodeOf(machine: string): string {
  return machine.slice(2)
}

function isFailure(answer: object): answer is Failure {
  return 'message' in answer
}
