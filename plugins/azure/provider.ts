/**
 * Azure behind the port of clouds: interfaces of machines and instances of scale sets are read, changed and written as a
 * whole, with the tag that says that nobody has changed them meanwhile.
 */
import type { TokenCredential } from '@azure/identity'
import type { NetworkInterface } from '@azure/arm-network'
import type { Call, CallKind, Limits, NicId, Reply, SeenNic, SeenSubnet, WriteCall } from '../cloud-core/model.ts'
import { type Budget, CloudFailure, type CloudProvider, type Machine, type Sweep } from '../cloud-core/provider.ts'
import { eachAtMost } from '../cloud-core/each-at-most.ts'
import { sweepParts } from '../cloud-core/sweep-parts.ts'
import { afterWrite, changesOf, changeText, type NicChange, unlessGone } from '../cloud-core/whole-change.ts'
import { type Api, APIS, BUDGETS } from './provider-apis.ts'
import { Clients } from './provider-clients.ts'
import { type Asked, failureOf, garbled } from './provider-failure.ts'
import { type AzureMachine, machineIn, networkOf, type NetworkResource, nicIn } from './provider-ids.ts'
import { changedInstance, changedNic, idOf, must, seenNics, subnetsOf } from './provider-inventory.ts'

export interface AzureOptions {
  /** Interfaces of a machine besides the first are for pods, too. */
  readonly otherInterfaces: boolean
  /** Instead of Azure's own, for tests and other clouds of Azure, by TLS; empty for that. */
  readonly endpoint: string
  /** Certificate of an authority that is trusted for it, in PEM. */
  readonly authority?: string
  /** Instead of what the environment has. */
  readonly credential?: TokenCredential
  readonly timeoutMs?: number
}

/** Less than whoever waits for it waits. */
const TIMEOUT_MS = 20_000
/** Configurations of an interface beside its own: Azure takes 256 (limits of virtual networks). */
const SLOTS = 255
/** The one length of a block that a configuration can have. */
const BLOCK = 28
/** So many lists are asked for at once. */
const AT_ONCE = 4

interface Asking {
  readonly subscription: string
  readonly about: string
  readonly signal: AbortSignal
  readonly blocks?: boolean
  readonly ifMatch?: string | undefined
}

export class AzureProvider implements CloudProvider {
  readonly name = 'azure'
  readonly #options: AzureOptions
  readonly #clients: Clients

  constructor(options: AzureOptions) {
    this.#options = options
    const { endpoint, authority = '', credential } = options
    this.#clients = new Clients({ endpoint, authority, credential })
  }

  budget(kind: CallKind | 'sweep'): Budget {
    return BUDGETS[kind]
  }

  /** Alike for all types of machines. Interfaces are made by whoever makes the machine, so there is room for no other. */
  async limits(machine: Machine, signal: AbortSignal): Promise<Limits> {
    signal.throwIfAborted()
    const { scaleSet } = partsOf(machine)
    // Models of scale sets know single addresses alone.
    const lengths = scaleSet === '' ? [BLOCK, 32] : [32]
    return { nics: 1, slots: SLOTS, lengths: { 4: lengths, 6: [] }, wholeWrites: true }
  }

  async call(machine: Machine, call: Call, signal: AbortSignal): Promise<Reply> {
    if (call.kind === 'observe') return { nics: await this.#observe(machine, signal) }
    if (call.kind !== 'write')
      throw new CloudFailure('invalid', `Azure has no call to ${call.kind}: machines are written as a whole`)
    return { nics: await this.#write(machine, call, signal) }
  }

  async sweep(all: readonly Machine[], signal: AbortSignal): Promise<Sweep> {
    const known = all.filter(({ id }) => machineIn(id) !== undefined)
    const parts = [...Map.groupBy(known, machine => listOf(partsOf(machine))).values()].map(own => ({ machines: own }))
    const { found, machines, missing } = await sweepParts(AT_ONCE, parts, of => this.#sweepList(of.machines, signal))
    const nics = found.flat()
    return { nics, machines, missing, subnets: await this.#subnets(new Set(nics.map(({ subnet }) => subnet)), signal) }
  }

  /** Machines of one group, or of one scale set. */
  async #sweepList(machines: readonly Machine[], signal: AbortSignal): Promise<SeenNic[]> {
    const [first] = machines
    if (first === undefined) return []
    const listed = await this.#list(partsOf(first), signal)
    const byMachine = Map.groupBy(listed, nic => nic.virtualMachine?.id?.toLowerCase() ?? '')
    const nics: SeenNic[] = []
    const unseen: Machine[] = []
    for (const machine of machines) {
      const own = byMachine.get(machine.id.toLowerCase())
      if (own === undefined) unseen.push(machine)
      else nics.push(...this.#seen(own, machine))
    }
    // An interface may be in another resource group than its machine.
    const alone = await eachAtMost(AT_ONCE, unseen, machine => this.#observe(machine, signal).catch(unlessGone))
    return [...nics, ...alone.flat()]
  }

  async #observe(machine: Machine, signal: AbortSignal): Promise<SeenNic[]> {
    return this.#seen(await this.#nicsOf(machine, signal), machine)
  }

  #seen(nics: readonly NetworkInterface[], machine: Machine): SeenNic[] {
    return reading(
      { api: APIS.getNic.name, writes: false, about: aboutOf(machine, 'interfaces'), permissions: [], blocks: false },
      () => seenNics(nics, machine.id, this.#options.otherInterfaces),
    )
  }

  async #nicsOf(machine: Machine, signal: AbortSignal): Promise<NetworkInterface[]> {
    const of = partsOf(machine)
    const asking = { subscription: of.subscription, about: aboutOf(machine, 'interfaces'), signal }
    if (of.scaleSet !== '') return await this.#ask(APIS.listInstanceNics, asking, of, nics => nics)
    const ids = await this.#ask(APIS.getMachine, asking, of, ({ networkProfile }) =>
      must(networkProfile?.networkInterfaces, 'networkInterfaces').map(idOf),
    )
    return await Promise.all(ids.map(id => this.#nic(id, asking)))
  }

  async #nic(id: NicId, asking: Asking): Promise<NetworkInterface> {
    const of = nicIn(id)
    if (of === undefined) throw new CloudFailure('invalid', `${asking.about}: ${id} is no network interface`)
    return await this.#ask(APIS.getNic, { ...asking, subscription: of.subscription }, of, nic => {
      idOf(nic)
      return nic
    })
  }

  async #write(machine: Machine, call: WriteCall, signal: AbortSignal): Promise<SeenNic[]> {
    const of = partsOf(machine)
    const changes = changesOf(call)
    const about = aboutOf(machine, changeText(call))
    const asking = { subscription: of.subscription, about, signal, blocks: call.add.some(({ length }) => length < 32) }
    if (of.scaleSet !== '') await this.#writeInstance(of, machine, changes, asking)
    else await this.#writeNics(changes, asking)
    // What was written is not doubted when it cannot be read at once: it is looked at again.
    return await this.#observe(machine, signal).catch((error: unknown) => {
      throw afterWrite(error)
    })
  }

  /** Each interface is a whole of its own. */
  async #writeNics(changes: ReadonlyMap<NicId, NicChange>, asking: Asking): Promise<void> {
    let done = 0
    for (const [id, change] of changes) {
      try {
        const nic = await this.#nic(id, asking)
        const changed = changedNic(nic, change)
        if (changed === undefined) continue
        const of = nicIn(id) as NetworkResource // #nic has refused any other id.
        const exact = { ...asking, subscription: of.subscription, ifMatch: nic.etag }
        await this.#ask(APIS.putNic, exact, { of, nic: changed }, idOf)
        done++
      } catch (error) {
        throw done > 0 ? afterWrite(error) : error
      }
    }
  }

  async #writeInstance(
    of: AzureMachine,
    machine: Machine,
    changes: ReadonlyMap<NicId, NicChange>,
    asking: Asking,
  ): Promise<void> {
    const [instance, nics] = await Promise.all([
      this.#ask(APIS.getInstance, asking, of, one => one),
      this.#nicsOf(machine, asking.signal),
    ])
    const api = APIS.getInstance
    const asked = { api: api.name, writes: false, about: asking.about, permissions: api.permissions, blocks: false }
    const changed = reading(asked, () => changedInstance(instance, nics, changes))
    if (changed === undefined) return
    const exact = { ...asking, ifMatch: instance.etag }
    await this.#ask(APIS.putInstance, exact, { of, instance: changed }, one => must(one.id, 'id'))
  }

  async #list(of: AzureMachine, signal: AbortSignal): Promise<NetworkInterface[]> {
    const { subscription, group, scaleSet } = of
    const asking = { subscription, signal, about: `interfaces in ${group}${scaleSet === '' ? '' : `/${scaleSet}`}` }
    const read = (nics: NetworkInterface[]): NetworkInterface[] => nics.filter(nic => idOf(nic) !== '')
    return await (scaleSet === ''
      ? this.#ask(APIS.listNics, asking, group, read)
      : this.#ask(APIS.listScaleSetNics, asking, of, read)
    ).catch(unlessGone)
  }

  async #subnets(ids: ReadonlySet<string>, signal: AbortSignal): Promise<SeenSubnet[]> {
    const networks = new Map<string, NetworkResource>()
    for (const id of ids) {
      const of = networkOf(id)
      if (of !== undefined) networks.set(`${of.subscription} ${of.group} ${of.name}`, of)
    }
    const found = await eachAtMost(AT_ONCE, [...networks.values()], async of => {
      const asking = { subscription: of.subscription, signal, about: `subnets of ${of.name}` }
      const usage = await this.#ask(APIS.networkUsage, asking, of, used => used)
      return await this.#ask(APIS.getNetwork, asking, of, network => subnetsOf(network, usage, ids))
    })
    return found.flat()
  }

  /** What `read` makes of the answer; throws CloudFailure, also when it throws. */
  async #ask<Of, Output, Read>(
    api: Api<Of, Output>,
    { subscription, about, signal, blocks = false, ifMatch }: Asking,
    of: Of,
    read: (output: Output) => Read,
  ): Promise<Read> {
    const { name, writes, permissions } = api
    const asked: Asked = { api: name, writes, about, permissions, blocks }
    const timeout = this.#options.timeoutMs ?? TIMEOUT_MS
    // The call that writes an interface has no field for it. Versions of the SDK before 39 took it as `customHeaders` and
    // sent nothing of `headers`; this one does the reverse.
    const exact = ifMatch === undefined ? {} : { headers: { 'if-match': ifMatch } }
    const send = async (): Promise<Output> => {
      signal.throwIfAborted()
      const connection = await this.#clients.connection(subscription)
      return await api.send(connection, of, { abortSignal: signal, requestOptions: { timeout, ...exact } })
    }
    const output = await send().catch((error: unknown) => {
      throw failureOf(signal.aborted ? signal.reason : error, asked, Date.now())
    })
    return reading(asked, () => read(output))
  }
}

function reading<Read>(asked: Asked, read: () => Read): Read {
  try {
    return read()
  } catch (error) {
    throw error instanceof CloudFailure ? error : garbled(asked, error instanceof Error ? error.message : '', error)
  }
}

function partsOf({ id, node }: Machine): AzureMachine {
  const parts = machineIn(id)
  if (parts === undefined) throw new CloudFailure('invalid', `node ${node}: ${id} is no machine of Azure`)
  return parts
}

function listOf({ subscription, group, scaleSet }: AzureMachine): string {
  return `${subscription} ${group} ${scaleSet}`
}

function aboutOf(machine: Machine, what: string): string {
  const { scaleSet, name } = partsOf(machine)
  return `${what}, ${scaleSet === '' ? name : `${scaleSet}/${name}`}, node ${machine.node}`
}
