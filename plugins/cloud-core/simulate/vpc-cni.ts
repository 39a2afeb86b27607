/**
 * The algorithm of amazon-vpc-cni-k8s as `reference/cloud-addresses` describes it (section 1.1): each node calls the cloud by
 * itself, every five seconds at most once, and an ADD without a free address fails. Giving back is left out.
 */
import type { Call, Failure, NicId, Reply } from '../model.ts'
import type { Contender, Ground } from './contender.ts'
import { machineOf, Retries } from './contender.ts'

/** Its settings; WARM_ENI_TARGET or WARM_PREFIX_TARGET of 1 where none of an address is set. */
export interface VpcCniSettings {
  readonly warmIp?: number
  readonly minimumIp?: number
}

const LOOP_MS = 5000
/** What was full is left alone for so long. */
const FULL_MS = 120_000
/** The SDK's own (retry.NewStandard): so many attempts, and rests of a random part of one second, two, four. */
const ATTEMPTS = 3
const PREFIX = 16

export class VpcCni implements Contender {
  readonly agenda
  readonly cloud
  readonly #ground: Ground
  readonly #settings: VpcCniSettings
  readonly #nodes = new Map<string, VpcNode>()

  constructor(ground: Ground, settings: VpcCniSettings) {
    this.agenda = ground.agenda
    this.cloud = ground.cloud
    this.#ground = ground
    this.#settings = settings
  }

  addNode(name: string, subnet: string): void {
    const machine = machineOf(name)
    this.cloud.addMachine({ id: machine, node: name, limits: this.#ground.limits }, subnet)
    const first = [...this.cloud.nics.values()].find(nic => nic.machine === machine)
    if (first !== undefined) this.#nodes.set(name, new VpcNode(name, first.id, this.#ground, this.#settings))
  }
  add(node: string, pod: string): void {
    this.#nodes.get(node)?.add(pod)
  }
  remove(node: string, pod: string): void {
    this.#nodes.get(node)?.remove(pod)
  }
}

interface VpcNic {
  readonly id: NicId
  blocks: number
}

class VpcNode {
  readonly #name: string
  readonly #ground: Ground
  readonly #settings: VpcCniSettings
  readonly #nics: VpcNic[]
  readonly #retries: Retries
  #assigned = 0
  #restUntilMs = 0

  constructor(name: string, first: NicId, ground: Ground, settings: VpcCniSettings) {
    this.#name = name
    this.#ground = ground
    this.#settings = settings
    this.#nics = [{ id: first, blocks: 0 }]
    this.#retries = new Retries(ground, name, () => this.#take())
    ground.agenda.after(ground.random() * LOOP_MS, () => this.#loop())
  }

  add(pod: string): void {
    this.#retries.add(pod)
  }
  remove(pod: string): void {
    if (!this.#retries.remove(pod)) this.#assigned--
  }

  get #size(): number {
    return this.#ground.prefixes ? PREFIX : 1
  }
  get #total(): number {
    return this.#nics.reduce((sum, nic) => sum + nic.blocks, 0) * this.#size
  }

  #take(): boolean {
    if (this.#assigned >= this.#total) return false
    this.#assigned++
    return true
  }

  #loop(): void {
    const again = (): void => void this.#ground.agenda.after(LOOP_MS, () => this.#loop())
    const short = this.#short()
    if (short <= 0 || this.#ground.agenda.now() < this.#restUntilMs) again()
    else this.#grow(Math.ceil(short / this.#size), again)
  }

  /** Addresses that are lacking. */
  #short(): number {
    const { prefixes, limits } = this.#ground
    const { warmIp, minimumIp = 0 } = this.#settings
    const available = this.#total - this.#assigned
    if (warmIp !== undefined) return Math.max(warmIp - available, minimumIp - this.#total)
    if (prefixes) return available < PREFIX ? PREFIX : 0
    return available < limits.slots ? limits.slots : 0
  }

  #grow(blocks: number, done: () => void): void {
    const { limits } = this.#ground
    const nic = this.#nics.find(n => n.blocks < limits.slots)
    if (nic !== undefined) this.#assign(nic, Math.min(blocks, limits.slots - nic.blocks), done)
    else if (this.#nics.length < limits.nics) this.#addNic(Math.min(blocks, limits.slots), done)
    else done()
  }

  #assign(nic: VpcNic, count: number, done: () => void): void {
    this.#call({ kind: 'assign', nic: nic.id, family: 4, length: this.#ground.prefixes ? 28 : 32, count }, answer => {
      if (!isFailure(answer)) nic.blocks += count
      else if (answer.kind === 'full' || answer.kind === 'fragmented')
        this.#restUntilMs = this.#ground.agenda.now() + FULL_MS
      done()
    })
  }

  /** Made, its index looked up, attached, to be deleted with the machine, waited for. */
  #addNic(count: number, done: () => void): void {
    const { prefixes, subnets, random, agenda } = this.#ground
    const create: Call = {
      kind: 'create',
      token: `${this.#name} ${random()}`,
      subnet: subnets[0] ?? '',
      length: prefixes ? 28 : 32,
      count,
    }
    this.#call(create, made => {
      const id = isFailure(made) ? undefined : made.nics[0]?.id
      if (id === undefined) return done()
      this.#call({ kind: 'observe' }, () =>
        this.#call({ kind: 'attach', nic: id, index: this.#nics.length, token: '' }, () =>
          this.#call({ kind: 'protect', nic: id }, () =>
            agenda.after(2000, () => {
              this.#nics.push({ id, blocks: count })
              done()
            }),
          ),
        ),
      )
    })
  }

  #call(call: Call, done: (answer: Reply | Failure) => void, attempt = 1): void {
    const { cloud, agenda, random } = this.#ground
    cloud.call(machineOf(this.#name), call, answer => {
      const again = isFailure(answer) && answer.kind === 'throttled' && attempt < ATTEMPTS
      if (again) agenda.after(random() * 1000 * 2 ** (attempt - 1), () => this.#call(call, done, attempt + 1))
      else done(answer)
    })
  }
}

function isFailure(answer: Reply | Failure): answer is Failure {
  return 'message' in answer
}
