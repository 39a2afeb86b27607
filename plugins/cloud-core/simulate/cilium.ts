/**
 * The algorithm of Cilium's operator (CRD mode) as `reference/cloud-addresses` describes it (section 1.2): one calls the cloud
 * for all, four times a second; it hears of a node's use every 15 s and of its pending pods by the API server; one action of a
 * node at a time, then a look at it. An ADD without a free address fails. Giving back is left out.
 */
import type { Call, Failure, NicId, Reply } from '../model.ts'
import type { Contender, Ground } from './contender.ts'
import { machineOf, Retries } from './contender.ts'

const PRE_ALLOCATE = 8
const UPDATE_MS = 15_000
const CALLS = { perSecond: 4, burst: 20 }
const PREFIX = 16
/** Of a node that failed: from a second to five minutes. */
const LONGEST_REST_MS = 300_000

export class Cilium implements Contender {
  readonly agenda
  readonly cloud
  readonly #ground: Ground
  readonly #nodes = new Map<string, CiliumNode>()
  readonly #limiter: Limiter

  constructor(ground: Ground) {
    this.agenda = ground.agenda
    this.cloud = ground.cloud
    this.#ground = ground
    this.#limiter = new Limiter(ground.agenda)
  }

  addNode(name: string, subnet: string): void {
    const machine = machineOf(name)
    this.cloud.addMachine({ id: machine, node: name, limits: this.#ground.limits }, subnet)
    const first = [...this.cloud.nics.values()].find(nic => nic.machine === machine)
    if (first !== undefined) this.#nodes.set(name, new CiliumNode(name, first.id, this.#ground, this.#limiter))
  }
  add(node: string, pod: string): void {
    this.#nodes.get(node)?.add(pod)
  }
  remove(node: string, pod: string): void {
    this.#nodes.get(node)?.remove(pod)
  }
}

/** Calls of all nodes together, in the order in which they were asked for. */
class Limiter {
  readonly #agenda: Ground['agenda']
  #nextMs = 0

  constructor(agenda: Ground['agenda']) {
    this.#agenda = agenda
  }

  run(call: () => void): void {
    const now = this.#agenda.now()
    const everyMs = 1000 / CALLS.perSecond
    const atMs = Math.max(now, this.#nextMs)
    this.#nextMs = Math.max(this.#nextMs, now - (CALLS.burst - 1) * everyMs) + everyMs
    this.#agenda.after(atMs - now, call)
  }
}

class CiliumNode {
  readonly #name: string
  readonly #ground: Ground
  readonly #limiter: Limiter
  readonly #nics: { readonly id: NicId; blocks: number }[]
  readonly #retries: Retries
  #used = 0
  /** As the operator knows it. */
  #knownUsed = 0
  #busy = false
  #failures = 0
  /** Interfaces that were attached, of which a machine may not have the device yet. */
  #attached = 1

  constructor(name: string, first: NicId, ground: Ground, limiter: Limiter) {
    this.#name = name
    this.#ground = ground
    this.#limiter = limiter
    this.#nics = [{ id: first, blocks: 0 }]
    this.#retries = new Retries(ground, name, () => this.#take())
    const update = (): void => {
      this.#knownUsed = this.#used
      this.#work()
      ground.agenda.after(UPDATE_MS, update)
    }
    ground.agenda.after(ground.random() * UPDATE_MS, update)
  }

  add(pod: string): void {
    this.#retries.add(pod)
    // Pending pods are the API server's word.
    this.#work()
  }
  remove(pod: string): void {
    if (!this.#retries.remove(pod)) this.#used--
  }

  get #size(): number {
    return this.#ground.prefixes ? PREFIX : 1
  }
  get #available(): number {
    return this.#nics.reduce((sum, nic) => sum + nic.blocks, 0) * this.#size
  }

  #take(): boolean {
    if (this.#used >= this.#available) return false
    this.#used++
    return true
  }

  #needed(): number {
    return Math.max(0, PRE_ALLOCATE - (this.#available - this.#knownUsed - this.#retries.waiting))
  }

  #work(): void {
    const needed = this.#needed()
    if (this.#busy || needed <= 0) return
    const { limits } = this.#ground
    const blocks = Math.ceil(needed / this.#size)
    const nic = this.#nics.find(n => n.blocks < limits.slots)
    this.#busy = true
    if (nic !== undefined) {
      const count = Math.min(blocks, limits.slots - nic.blocks)
      this.#call({ kind: 'assign', nic: nic.id, family: 4, length: this.#length, count }, answer => {
        if (!isFailure(answer)) nic.blocks += count
        this.#ended(answer)
      })
    } else if (this.#nics.length < limits.nics) this.#addNic(Math.min(blocks, limits.slots))
    else this.#busy = false
  }

  get #length(): number {
    return this.#ground.prefixes ? 28 : 32
  }

  #addNic(count: number): void {
    const { random, subnets, agenda } = this.#ground
    const token = `${this.#name} ${random()}`
    this.#call({ kind: 'create', token, subnet: subnets[0] ?? '', length: this.#length, count }, made => {
      const id = isFailure(made) ? undefined : made.nics[0]?.id
      if (id === undefined) return this.#ended(made)
      this.#call({ kind: 'attach', nic: id, index: this.#attached++, token: '' }, () =>
        this.#call({ kind: 'protect', nic: id }, answer => {
          agenda.after(2000, () => this.#nics.push({ id, blocks: count }))
          this.#ended(answer)
        }),
      )
    })
  }

  /** A look at the node, and the next action; after a failure later. */
  #ended(answer: Reply | Failure): void {
    const { agenda } = this.#ground
    this.#failures = isFailure(answer) ? this.#failures + 1 : 0
    const restMs = this.#failures === 0 ? 0 : Math.min(LONGEST_REST_MS, 1000 * 2 ** (this.#failures - 1))
    this.#call({ kind: 'observe' }, () =>
      agenda.after(restMs, () => {
        this.#busy = false
        this.#work()
      }),
    )
  }

  #call(call: Call, done: (answer: Reply | Failure) => void): void {
    this.#limiter.run(() => this.#ground.cloud.call(machineOf(this.#name), call, done))
  }
}

function isFailure(answer: Reply | Failure): answer is Failure {
  return 'message' in answer
}
