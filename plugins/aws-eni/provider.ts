/** EC2 behind the port of clouds: each call of the core is one of EC2, made once (`provider-apis.ts` has the list). */
import { familyIn, hostPrefix } from '../../daemon/kernel/ip.ts'
import type { Prefix } from '../../daemon/kernel/kernel.ts'
import type {
  AssignCall,
  Call,
  CallKind,
  CreateCall,
  Limits,
  NicId,
  ReleaseCall,
  Reply,
  SeenNic,
  SubnetId,
} from '../cloud-core/model.ts'
import { type Budget, CloudFailure, type CloudProvider, type Machine, type Sweep } from '../cloud-core/provider.ts'
import { APIS, BUDGETS } from './provider-apis.ts'
import { sweepParts } from '../cloud-core/sweep-parts.ts'
import { type Account, keyOf } from './provider-clients.ts'
import { type Asking, Ec2, filter } from './provider-ec2.ts'
import { Groups } from './provider-groups.ts'
import { addressBlock, type Eni, eniOf, Garbled, limitsOf, must, prefixBlock, regionOf } from './provider-inventory.ts'
import { Known } from './provider-known.ts'
import { Reservations } from './provider-reservations.ts'
import { type AccountSweep, hasChoice, type NodeClass, sweepAccount } from './provider-sweep.ts'
import { TAGS } from './provider-tags.ts'

export interface AwsOptions {
  /** Name of the cluster: interfaces with another one are not touched. */
  readonly cluster: string
  /** Where the zone of no machine says it: interfaces of nodes that are all gone are looked for there. Empty for nowhere. */
  readonly region: string
  /** At least one; the class of a machine is one of them. */
  readonly classes: readonly NodeClass[]
  readonly classOf: (machine: Machine) => NodeClass
  /** Instead of AWS's own, for tests; empty for those. */
  readonly endpoint: string
  /** How long an answer may take. */
  readonly timeoutMs?: number
}

/** Less than whoever waits for it waits. */
const TIMEOUT_MS = 20_000

export class AwsProvider implements CloudProvider {
  readonly name = 'aws'
  readonly #options: AwsOptions
  readonly #ec2: Ec2
  readonly #known = new Known()
  readonly #groups: Groups
  readonly #reservations: Reservations
  /** By type of machine. */
  readonly #limits = new Map<string, Promise<Limits>>()
  readonly #stop = new AbortController()
  /** Accounts that machines are or were in, by their names. */
  readonly #accounts = new Map<string, Account>()
  #choices: ReadonlyMap<string, AccountSweep['choices']> = new Map()
  /** Of subnets that the last sweep has shown. */
  #zones: ReadonlyMap<SubnetId, string> = new Map()

  constructor(options: AwsOptions) {
    this.#options = options
    const { cluster, endpoint, classes, timeoutMs = TIMEOUT_MS } = options
    const roleArns = classes.flatMap(({ roleArn }) => (roleArn === '' ? [] : roleArn))
    this.#ec2 = new Ec2({ cluster, endpoint, timeoutMs, policy: { cluster, roleArns } })
    this.#groups = new Groups(this.#ec2)
    this.#reservations = new Reservations(this.#ec2)
  }

  budget(kind: CallKind | 'sweep'): Budget {
    return BUDGETS[kind]
  }

  /** Of the machine's zone: an interface cannot be attached in another. */
  choices(machine: Machine): readonly SubnetId[] {
    const of = this.#options.classOf(machine)
    const chosen = hasChoice(of.subnets)
      ? (this.#choices.get(keyOf(this.#accountOf(machine)))?.get(of.name) ?? [])
      : [this.#known.first(machine.id)?.nic.subnet ?? '']
    return [...chosen].filter(id => this.#zones.has(id) && this.#zones.get(id) === machine.zone)
  }

  /** A type is asked for once; whoever gives up waiting takes nothing from the others. */
  async limits(machine: Machine, signal: AbortSignal): Promise<Limits> {
    const { type, node } = machine
    if (type === '')
      throw new CloudFailure('invalid', `limits of node ${node}: the Node does not say its machine's type`)
    const found = this.#limits.get(type) ?? this.#askLimits(machine)
    this.#limits.set(type, found)
    const { promise: gaveUp, reject } = Promise.withResolvers<never>()
    const giveUp = (): void => reject(new CloudFailure('unreachable', `limits of type ${type}: nobody waits any more`))
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      return await Promise.race([found, gaveUp])
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  async call(machine: Machine, call: Call, signal: AbortSignal): Promise<Reply> {
    const asking = (about: string, nic?: NicId): Asking => ({
      account: (nic === undefined ? undefined : this.#known.account(nic)) ?? this.#accountOf(machine),
      about: machine.node === '' ? about : `${about}, node ${machine.node}`,
      signal,
    })
    switch (call.kind) {
      case 'assign':
        return await this.#assign(call, asking(`${call.count} of /${call.length} for ${call.nic}`, call.nic))
      case 'release':
        return await this.#release(call, asking(`${call.blocks.join(', ')} of ${call.nic}`, call.nic))
      case 'create':
        return await this.#create(machine, call, asking(`with ${call.count} of /${call.length} in ${call.subnet}`))
      case 'attach': {
        const { nic, index } = call
        const input = { InstanceId: machine.id, NetworkInterfaceId: nic, DeviceIndex: index }
        const about = asking(`${nic} to ${machine.id} at ${index}`, nic)
        const attachment = await this.#ec2.ask(APIS.attach, about, input, output =>
          must(output.AttachmentId, 'attachmentId'),
        )
        this.#known.attached(nic, attachment)
        return NOTHING
      }
      case 'protect':
        return await this.#protect(call.nic, asking(`that ${call.nic} goes with ${machine.id}`, call.nic))
      case 'detach':
        return await this.#detach(call.nic, asking(`${call.nic} from ${machine.id}`, call.nic))
      case 'delete':
        await this.#ec2.ask(APIS.delete, asking(call.nic, call.nic), { NetworkInterfaceId: call.nic }, () => undefined)
        this.#known.delete(call.nic)
        return NOTHING
      case 'observe':
        return await this.#observe(machine, asking(`those of ${machine.id}`))
      case 'write':
        throw new CloudFailure('invalid', 'EC2 has no call that writes all of a machine')
    }
  }

  async sweep(machines: readonly Machine[], signal: AbortSignal): Promise<Sweep> {
    const { cluster, classes } = this.#options
    const startedMs = performance.now()
    const named = machines.filter(machine => this.#regionOf(machine) !== '')
    const byAccount = Map.groupBy(named, machine => keyOf(this.#accountOf(machine)))
    if (this.#options.region !== '') for (const of of classes) this.#accountIn(this.#options.region, of)
    const parts = [...this.#accounts].map(([key, account]) => {
      const own = classes.filter(({ roleArn, externalId }) => keyOf({ ...account, roleArn, externalId }) === key)
      return { key, account, machines: byAccount.get(key) ?? [], classes: own }
    })
    const choices = new Map<string, AccountSweep['choices']>()
    const swept = await sweepParts(1, parts, async part => {
      const { account } = part
      const found = await sweepAccount(
        { ec2: this.#ec2, reservations: this.#reservations },
        cluster,
        account,
        part,
        signal,
      )
      const asking = { account, signal, about: 'new interfaces' }
      const lacking: string[] = []
      for (const one of part.classes)
        if (hasChoice(one.securityGroups)) lacking.push(...(await this.#groups.look(one, asking)))
      this.#known.swept(found.enis, account, startedMs)
      choices.set(part.key, found.choices)
      return { ...found, missing: [...lacking, ...found.missing] }
    })
    this.#choices = choices
    const subnets = swept.found.flatMap(found => found.subnets)
    this.#zones = new Map(subnets.map(({ id, zone }) => [id, zone]))
    return {
      nics: swept.found.flatMap(({ enis }) => enis.map(({ nic }) => nic)),
      subnets,
      machines: swept.machines,
      missing: [...swept.found.flatMap(({ missing }) => missing), ...swept.missing],
    }
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the provider was closed'))
    await this.#ec2.close()
  }

  async #askLimits(machine: Machine): Promise<Limits> {
    const { type } = machine
    const asking = { account: this.#accountOf(machine), about: `type ${type}`, signal: this.#stop.signal }
    try {
      const input = { InstanceTypes: [type as never] }
      return await this.#ec2.ask(APIS.describeTypes, asking, input, ({ InstanceTypes: found }) =>
        limitsOf(must(found?.[0], `instanceTypeSet of ${type}`)),
      )
    } catch (error) {
      this.#limits.delete(type)
      throw error
    }
  }

  /** The reply shows the new blocks alone: whoever asked adds them to what the interface has. */
  async #assign({ nic, length, family, count }: AssignCall, asking: Asking): Promise<Reply> {
    const of = { NetworkInterfaceId: nic }
    const blocks =
      family === 6
        ? await this.#ec2.ask(APIS.assign6, asking, { ...of, Ipv6PrefixCount: count }, output =>
            some((output.AssignedIpv6Prefixes ?? []).flatMap(prefixBlock)),
          )
        : await this.#ec2.ask(APIS.assign, asking, { ...of, ...sizeOf(length, count) }, output =>
            some([
              ...(output.AssignedPrivateIpAddresses ?? []).flatMap(one => addressBlock(one.PrivateIpAddress)),
              ...(output.AssignedIpv4Prefixes ?? []).flatMap(one => prefixBlock(one.Ipv4Prefix)),
            ]),
          )
    const shown = this.#known.get(nic)?.nic ?? unknownNic(nic)
    // Its own address is for no pod, whatever an answer counts.
    const own = new Set(shown.addresses.map(hostPrefix))
    return { nics: [{ ...shown, blocks: blocks.filter(block => !own.has(block)) }] }
  }

  /** Addresses and prefixes of IPv4 in one call; of what has been given back before one fails nothing is known to the asker. */
  async #release({ nic, blocks }: ReleaseCall, asking: Asking): Promise<Reply> {
    const of = { NetworkInterfaceId: nic }
    const four = blocks.filter(block => familyIn(block) === 4)
    const six = blocks.filter(block => familyIn(block) === 6)
    const singles = four.filter(block => block.endsWith('/32')).map(block => block.slice(0, -'/32'.length))
    const prefixes = four.filter(block => !block.endsWith('/32'))
    const steps = [
      ...(singles.length === 0 ? [] : [{ PrivateIpAddresses: singles }]),
      ...(prefixes.length === 0 ? [] : [{ Ipv4Prefixes: prefixes }]),
    ].map(what => () => this.#ec2.ask(APIS.unassign, asking, { ...of, ...what }, () => undefined))
    if (six.length > 0)
      steps.push(() => this.#ec2.ask(APIS.unassign6, asking, { ...of, Ipv6Prefixes: six }, () => undefined))
    for (const [n, step] of steps.entries())
      await step().catch((error: unknown) => {
        throw n > 0 && error instanceof CloudFailure ? partly(error) : error
      })
    return NOTHING
  }

  async #create(machine: Machine, call: CreateCall, asking: Asking): Promise<Reply> {
    const { token, subnet, length, count } = call
    const tags = { [TAGS.cluster]: this.#options.cluster, [TAGS.node]: machine.node, [TAGS.token]: token }
    const input = {
      SubnetId: subnet,
      ClientToken: token,
      Description: `Causeway: addresses of pods of ${machine.node}`,
      Groups: await this.#groupsFor(machine, asking),
      TagSpecifications: [
        {
          ResourceType: 'network-interface' as const,
          Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
        },
      ],
      ...(count === 0 ? {} : sizeOf(length, count)),
    }
    const made = await this.#ec2.ask(APIS.create, asking, input, output => {
      const nic = must(output.NetworkInterface, 'networkInterface')
      // Its tags may not be shown yet.
      const tagged = { ...nic, TagSet: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }
      return must(eniOf(tagged, this.#options.cluster), 'a state of the interface that is known')
    })
    this.#known.put(made, asking.account)
    return { nics: [made.nic] }
  }

  async #protect(nic: NicId, asking: Asking): Promise<Reply> {
    const attachment = await this.#attachmentOf(nic, asking)
    const input = {
      NetworkInterfaceId: nic,
      Attachment: { AttachmentId: attachment, DeleteOnTermination: true },
    }
    await this.#ec2.ask(APIS.modify, asking, input, () => undefined)
    return NOTHING
  }

  async #detach(nic: NicId, asking: Asking): Promise<Reply> {
    const attachment = await this.#attachmentOf(nic, asking)
    await this.#ec2.ask(APIS.detach, asking, { AttachmentId: attachment }, () => undefined)
    this.#known.detached(nic)
    return NOTHING
  }

  /** Of its machine, and tagged with its node and attached to nothing: EC2's filters cannot say one or the other. */
  async #observe({ id, node }: Machine, asking: Asking): Promise<Reply> {
    const free = [
      filter(`tag:${TAGS.cluster}`, this.#options.cluster),
      filter(`tag:${TAGS.node}`, node),
      filter('status', 'available'),
    ]
    const found = await Promise.all([
      this.#ec2.enis([filter('attachment.instance-id', id)], asking),
      this.#ec2.enis(free, asking),
    ])
    const enis = new Map(found.flat().map(eni => [eni.nic.id, eni]))
    for (const eni of enis.values()) this.#known.put(eni, asking.account)
    return { nics: [...enis.values()].map(({ nic }) => nic) }
  }

  /** What an interface is attached by; asked for when no look has shown it. */
  async #attachmentOf(nic: NicId, asking: Asking): Promise<string> {
    const known = this.#known.get(nic)?.attachment ?? ''
    if (known !== '') return known
    const [found] = await this.#ec2.enis([filter('network-interface-id', nic)], asking)
    if (found === undefined) throw new CloudFailure('gone', `${asking.about}: ${nic} does not exist`)
    this.#known.put(found, asking.account)
    if (found.attachment === '') throw new CloudFailure('conflict', `${asking.about}: ${nic} is attached to nothing`)
    return found.attachment
  }

  async #groupsFor(machine: Machine, asking: Asking): Promise<string[]> {
    const of = this.#options.classOf(machine)
    const first = this.#known.first(machine.id) ?? (await this.#firstOf(machine, asking))
    return hasChoice(of.securityGroups) ? await this.#groups.in(first.vpc, of, asking) : [...first.groups]
  }

  async #firstOf({ id }: Machine, asking: Asking): Promise<Eni> {
    const filters = [filter('attachment.instance-id', id), filter('attachment.device-index', '0')]
    const found = (await this.#ec2.enis(filters, asking)).find(({ nic }) => nic.index === 0)
    if (found === undefined) throw new CloudFailure('gone', `${asking.about}: ${id} has no first interface`)
    this.#known.put(found, asking.account)
    return found
  }

  #accountOf(machine: Machine): Account {
    return this.#accountIn(this.#regionOf(machine), this.#options.classOf(machine))
  }

  #regionOf({ zone }: Machine): string {
    return regionOf(zone) || this.#options.region
  }

  #accountIn(region: string, { roleArn, externalId }: NodeClass): Account {
    const account = { region, roleArn, externalId }
    if (region !== '') this.#accounts.set(keyOf(account), account)
    return account
  }
}

const NOTHING: Reply = { nics: [] }

function sizeOf(length: number, count: number) {
  return length === 32 ? { SecondaryPrivateIpAddressCount: count } : { Ipv4PrefixCount: count }
}

/** An answer that gives nothing is no answer to a request for something. */
function some(blocks: readonly Prefix[]): readonly Prefix[] {
  if (blocks.length === 0) throw new Garbled('it names no address and no prefix')
  return blocks
}

function partly({ message, retryAfterMs }: CloudFailure): CloudFailure {
  return new CloudFailure('ambiguous', `${message}; other blocks have been given back`, { retryAfterMs })
}

/** Whoever asked for addresses of an interface knows it. */
function unknownNic(id: NicId): SeenNic {
  return {
    id,
    mac: '',
    subnet: '',
    status: 'attached',
    machine: '',
    index: -1,
    deletedWithMachine: false,
    forPods: true,
    token: '',
    node: '',
    addresses: [],
    blocks: [],
  }
}
