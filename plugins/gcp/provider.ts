/**
 * Google Compute Engine behind the port of clouds: alias ranges of an interface are written as a whole with its
 * fingerprint, one interface after another, each operation waited for.
 */
import { createHash } from 'node:crypto'
import { eachAtMost } from '../cloud-core/each-at-most.ts'
import type { Call, CallKind, Limits, Reply, SeenNic, SeenSubnet, WriteCall } from '../cloud-core/model.ts'
import { type Budget, CloudFailure, type CloudProvider, type Machine, type Sweep } from '../cloud-core/provider.ts'
import { sweepParts } from '../cloud-core/sweep-parts.ts'
import { afterWrite, changesOf, changeText } from '../cloud-core/whole-change.ts'
import { APIS, BUDGETS } from './provider-apis.ts'
import { type Asked, refused } from './provider-failure.ts'
import { type GcpMachine, machineIn } from './provider-ids.ts'
import { changedAliases, must, type SeenOptions, subnetOf, type Vnic, vnicsOf } from './provider-inventory.ts'
import { listIn, objectIn, textIn } from './provider-json.ts'
import { type Asking, Rest } from './provider-rest.ts'

export interface GcpOptions extends SeenOptions {
  /** Instead of Google's own; empty for that. */
  readonly endpoint: string
  /** Headers with a token for a URL, instead of what the environment has. */
  readonly authorize?: (url: string) => Promise<Headers>
  readonly timeoutMs?: number
}

/** Less than whoever waits for it waits. */
const TIMEOUT_MS = 20_000
/** The API itself answers after two minutes whether an operation has ended or not. */
const WAIT_MS = 130_000
/** Alias ranges of an interface: a value that is safe; Google gives no figure that holds for all projects. */
const SLOTS = 150
const BLOCK = 28
/** So many lists are asked for at once. */
const AT_ONCE = 4
/** A token that never ends is an answer of something else. */
const MOST_PAGES = 10_000

export class GcpProvider implements CloudProvider {
  readonly name = 'gcp'
  readonly #options: GcpOptions
  readonly #rest: Rest

  constructor(options: GcpOptions) {
    this.#options = options
    const { endpoint, authorize } = options
    this.#rest = new Rest({ endpoint, authorize })
  }

  budget(kind: CallKind | 'sweep'): Budget {
    return BUDGETS[kind]
  }

  /** Alike for all types of machines. Interfaces are made with the machine, so there is room for no other. */
  async limits(machine: Machine, signal: AbortSignal): Promise<Limits> {
    signal.throwIfAborted()
    partsOf(machine)
    return { nics: 1, slots: SLOTS, lengths: { 4: [BLOCK, 32], 6: [] }, wholeWrites: true }
  }

  async call(machine: Machine, call: Call, signal: AbortSignal): Promise<Reply> {
    if (call.kind === 'observe') return { nics: await this.#observe(machine, signal) }
    if (call.kind !== 'write')
      throw new CloudFailure('invalid', `Google has no call to ${call.kind}: interfaces are written as a whole`)
    return { nics: await this.#write(machine, call, signal) }
  }

  async sweep(all: readonly Machine[], signal: AbortSignal): Promise<Sweep> {
    const known = all.filter(({ id }) => machineIn(id) !== undefined)
    const byZone = Map.groupBy(known, machine => {
      const { project, zone } = partsOf(machine)
      return `${project}/${zone}`
    })
    const parts = [...byZone.values()].map(machines => ({ machines }))
    const { found, machines, missing } = await sweepParts(AT_ONCE, parts, of => this.#sweepZone(of.machines, signal))
    const nics = found.flat()
    return { nics, machines, missing, subnets: await this.#subnets(new Set(nics.map(({ subnet }) => subnet)), signal) }
  }

  async #observe(machine: Machine, signal: AbortSignal): Promise<SeenNic[]> {
    const vnics = await this.#vnics(machine, this.#asking(`interfaces of ${machine.id}, node ${machine.node}`, signal))
    return vnics.map(({ nic }) => nic)
  }

  async #vnics(machine: Machine, asking: Asking): Promise<Vnic[]> {
    return await this.#rest.ask(APIS.getInstance, partsOf(machine), asking, answer =>
      vnicsOf(answer, machine.id, this.#options),
    )
  }

  async #write(machine: Machine, call: WriteCall, signal: AbortSignal): Promise<SeenNic[]> {
    const asking = this.#asking(`${changeText(call)}, ${machine.id}, node ${machine.node}`, signal)
    const vnics = await this.#vnics(machine, asking)
    let done = 0
    try {
      for (const [id, change] of changesOf(call)) {
        const vnic = vnics.find(({ nic }) => nic.id === id)
        if (vnic === undefined) throw new CloudFailure('gone', `${asking.about}: there is no interface ${id}`)
        const blocks = change.add.some(({ length }) => length < 32)
        const aliases = changedAliases(vnic, change, this.#options.rangeName)
        if (aliases === undefined) continue
        await this.#update(partsOf(machine), vnic, aliases, { ...asking, blocks })
        done++
      }
      return done === 0 ? vnics.map(({ nic }) => nic) : await this.#observe(machine, signal)
    } catch (error) {
      throw done > 0 ? afterWrite(error) : error
    }
  }

  /** Ends when the operation has. The list is sent when it is empty, too: else the last range would stay. */
  async #update(of: GcpMachine, { name, fingerprint }: Vnic, aliases: Vnic['aliases'], asking: Asking): Promise<void> {
    const body = { fingerprint, aliasIpRanges: aliases }
    const what = { of, nic: name, requestId: requestIdOf(`${of.project}/${of.zone}/${of.name}/${name}`, body) }
    let operation = await this.#rest.ask(APIS.updateInterface, what, { ...asking, body }, operationIn)
    while (operation.status !== 'DONE') {
      const wait = { ...asking, timeoutMs: WAIT_MS }
      const whole = { project: of.project, zone: of.zone, operation: operation.name }
      operation = await this.#rest.ask(APIS.waitOperation, whole, wait, operationIn).catch((error: unknown) => {
        throw afterWrite(error, 'the change was accepted')
      })
    }
    if (operation.error !== undefined) throw operationFailed(operation.error, asking)
  }

  async #sweepZone(machines: readonly Machine[], signal: AbortSignal): Promise<SeenNic[]> {
    const byName = new Map(machines.map(machine => [partsOf(machine).name, machine]))
    const [first] = machines
    if (first === undefined) return []
    const { project, zone } = partsOf(first)
    const asking = this.#asking(`those of ${machines.length} machines in ${project}/${zone}`, signal)
    const nics: SeenNic[] = []
    let page: string | undefined = ''
    for (let n = 0; page !== undefined && n < MOST_PAGES; n++) {
      const list: { project: string; zone: string; page: string } = { project, zone, page }
      page = await this.#rest.ask(APIS.listInstances, list, asking, (answer): string | undefined => {
        if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) throw new Error('it is no object')
        for (const instance of listIn(answer, 'items')) {
          const machine = byName.get(must(textIn(instance, 'name'), 'name'))
          if (machine !== undefined) nics.push(...vnicsOf(instance, machine.id, this.#options).map(({ nic }) => nic))
        }
        return textIn(answer, 'nextPageToken')
      })
    }
    return nics
  }

  async #subnets(ids: ReadonlySet<string>, signal: AbortSignal): Promise<SeenSubnet[]> {
    return await eachAtMost(AT_ONCE, [...ids], id => {
      const [project = '', region = '', name = ''] = id.split('/')
      const of = { project, region, name }
      return this.#rest.ask(APIS.getSubnet, of, this.#asking(`subnet ${id}`, signal), answer =>
        subnetOf(answer, of, this.#options.rangeName),
      )
    })
  }

  #asking(about: string, signal: AbortSignal): Asking {
    return { about, signal, timeoutMs: this.#options.timeoutMs ?? TIMEOUT_MS }
  }
}

interface Operation {
  readonly name: string
  readonly status: string
  /** The first of its errors; undefined while there is none. */
  readonly error: unknown
}

function operationIn(answer: unknown): Operation {
  return {
    name: must(textIn(answer, 'name'), 'name of the operation'),
    status: must(textIn(answer, 'status'), 'status of the operation'),
    error: listIn(objectIn(answer, 'error'), 'errors')[0],
  }
}

function operationFailed(error: unknown, { about, blocks = false }: Asking): CloudFailure {
  const { name: api, writes, permissions } = APIS.updateInterface
  const asked: Asked = { api, writes, about, permissions, blocks }
  const [reason, message] = [textIn(error, 'code') ?? 'UNKNOWN', textIn(error, 'message') ?? '']
  return refused({ status: 0, reason, message, retryAfter: null }, asked, Date.now())
}

/** The same for the same change of the same state: Google carries out the first of two requests with one name. */
function requestIdOf(nic: string, body: unknown): string {
  const hex = createHash('sha256').update(nic).update(JSON.stringify(body)).digest('hex')
  // Version 8 and variant of RFC 9562: the rest is as its maker likes.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function partsOf({ id, node }: Machine): GcpMachine {
  const parts = machineIn(id)
  if (parts === undefined) throw new CloudFailure('invalid', `node ${node}: ${id} is no machine of Google`)
  return parts
}
