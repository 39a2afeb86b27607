/**
 * EC2's Query API over the in-memory cloud of the core's tests: what each request asks of it, and what it answers in EC2's
 * words. What the cloud does not know of (tags, security groups, types of machines) is kept here.
 */
import { familyIn, hostPrefix } from '../../../daemon/kernel/ip.ts'
import type { Address, Prefix } from '../../../daemon/kernel/kernel.ts'
import type { MemoryAws } from '../../../plugins/cloud-core/memory/aws.ts'
import { type Faults, Frontend, NO_FAULTS, refuse, type Timer } from '../../../plugins/cloud-core/memory/frontend.ts'
import type { Call, Failure, NicId, Reply, SeenNic } from '../../../plugins/cloud-core/model.ts'
import type { Sweep } from '../../../plugins/cloud-core/provider.ts'
import type { Form } from './form.ts'
import { MACHINE_TYPE, SUBNETS, VPC } from './vpc.ts'
import type { Xml } from './xml.ts'

export type Content = { readonly [name: string]: Xml | undefined }

const READING = { burst: 100, perSecond: 20 }
const READ_MS = 150
/** Of the tags that the project's interfaces bear those that the cloud in memory has fields for. */
const TAG = { node: 'causeway.dev/node', token: 'causeway.dev/token' } as const
const OWNER = '111122223333'
const DONE: Content = { return: true }

/** What there is of the type of the lab's machines. */
export const LIMITS = { nics: 2, slots: 3, lengths: { 4: [28, 32], 6: [] }, wholeWrites: false } as const

export class Ec2 {
  readonly #cloud: MemoryAws
  /** Of what does not concern interfaces. */
  readonly #others: Frontend
  readonly #tags = new Map<NicId, ReadonlyMap<string, string>>()
  /** Requests so far, by their action. */
  readonly #asked = new Map<string, number>()

  constructor(cloud: MemoryAws, timer: Timer, random: () => number) {
    this.#cloud = cloud
    this.#others = new Frontend({ timer, random })
  }

  get asked(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#asked)
  }
  set faults(faults: Partial<Faults>) {
    const all = { ...NO_FAULTS, ...faults }
    this.#cloud.faults = all
    this.#others.faults = all
  }

  /** What is answered to a request, or why it is refused. */
  async answer(form: Form): Promise<Content | Failure> {
    const { action } = form
    this.#asked.set(action, (this.#asked.get(action) ?? 0) + 1)
    switch (action) {
      case 'DescribeNetworkInterfaces':
        return await this.#describeNics(form)
      case 'DescribeSubnets':
        return await this.#read(action, () => this.#subnets(form))
      case 'GetSubnetCidrReservations':
        return await this.#read(action, () => ({ subnetIpv4CidrReservationSet: [], subnetIpv6CidrReservationSet: [] }))
      case 'DescribeSecurityGroups':
        return await this.#read(action, () => securityGroups(form))
      case 'DescribeInstanceTypes':
        return await this.#read(action, () => instanceTypes(form))
      case 'AssignPrivateIpAddresses':
        return await this.#assign(form)
      case 'UnassignPrivateIpAddresses':
        return await this.#unassign(form)
      case 'CreateNetworkInterface':
        return await this.#create(form)
      case 'AttachNetworkInterface':
        return await this.#attach(form)
      case 'ModifyNetworkInterfaceAttribute':
        return await this.#done({ kind: 'protect', nic: form.text('NetworkInterfaceId') })
      case 'DetachNetworkInterface':
        return await this.#done({ kind: 'detach', nic: nicOf(form.text('AttachmentId')) })
      case 'DeleteNetworkInterface':
        return await this.#done({ kind: 'delete', nic: form.text('NetworkInterfaceId') })
      default:
        return { kind: 'invalid', message: `InvalidAction: the lab's EC2 does not know ${action}` }
    }
  }

  async #describeNics(form: Form): Promise<Content | Failure> {
    const swept = await new Promise<Sweep | Failure>(done => this.#cloud.sweep(done))
    if ('kind' in swept) return swept
    const filters = form.filters()
    const found = swept.nics.filter(nic => [...filters].every(([name, values]) => this.#fits(nic, name, values)))
    const { items, nextToken } = page(found, form)
    return { networkInterfaceSet: items.map(nic => this.#nic(nic)), nextToken }
  }

  #fits(nic: SeenNic, name: string, values: readonly string[]): boolean {
    if (name.startsWith('tag:')) return values.includes(this.#tags.get(nic.id)?.get(name.slice('tag:'.length)) ?? '')
    switch (name) {
      case 'attachment.instance-id':
        return values.includes(nic.machine)
      case 'attachment.device-index':
        return nic.machine !== '' && values.includes(`${nic.index}`)
      case 'network-interface-id':
        return values.includes(nic.id)
      case 'status':
        return values.includes(nic.status === 'available' ? 'available' : 'in-use')
      default:
        return refuse('invalid', `InvalidParameterValue: the lab's EC2 has no filter ${name}`)
    }
  }

  #subnets(form: Form): Content {
    const filters = [...form.filters()]
    const found = SUBNETS.filter(subnet =>
      filters.every(([name, values]) => {
        if (name.startsWith('tag:')) return values.includes(subnet.tags[name.slice('tag:'.length)] ?? '')
        return values.includes(name === 'vpc-id' ? VPC.id : subnet.id)
      }),
    )
    const subnetSet = found.map(({ id, zone, cidr, tags }) => ({
      subnetId: id,
      state: 'available',
      vpcId: VPC.id,
      cidrBlock: cidr,
      availabilityZone: zone,
      availableIpAddressCount: this.#cloud.single(id),
      tagSet: tagSet(Object.entries(tags)),
    }))
    return { subnetSet }
  }

  async #assign(form: Form): Promise<Content | Failure> {
    const nic = form.text('NetworkInterfaceId')
    const prefixes = form.count('Ipv4PrefixCount')
    const [length, count] = prefixes > 0 ? [28, prefixes] : [32, form.count('SecondaryPrivateIpAddressCount')]
    const answer = await this.#call({ kind: 'assign', nic, family: 4, length, count })
    if ('kind' in answer) return answer
    const blocks = answer.nics.flatMap(seen => seen.blocks)
    return {
      networkInterfaceId: nic,
      assignedPrivateIpAddressesSet: singles(blocks).map(privateIpAddress => ({ privateIpAddress })),
      assignedIpv4PrefixSet: prefixesIn(blocks).map(ipv4Prefix => ({ ipv4Prefix })),
      ...DONE,
    }
  }

  async #unassign(form: Form): Promise<Content | Failure> {
    const blocks = [...form.list('PrivateIpAddress').map(hostPrefix), ...form.list('Ipv4Prefix')]
    return await this.#done({ kind: 'release', nic: form.text('NetworkInterfaceId'), blocks })
  }

  async #create(form: Form): Promise<Content | Failure> {
    const tags = form.tags()
    const node = tags.get(TAG.node)
    const machine = [...this.#cloud.machines.values()].find(one => one.node === node)?.id ?? ''
    const prefixes = form.count('Ipv4PrefixCount')
    const [length, count] = prefixes > 0 ? [28, prefixes] : [32, form.count('SecondaryPrivateIpAddressCount')]
    const token = form.text('ClientToken')
    const answer = await this.#call({ kind: 'create', token, subnet: form.text('SubnetId'), length, count }, machine)
    if ('kind' in answer) return answer
    for (const { id } of answer.nics) this.#tags.set(id, tags)
    return { networkInterface: answer.nics.map(nic => this.#nic(nic))[0], clientToken: token }
  }

  async #attach(form: Form): Promise<Content | Failure> {
    const nic = form.text('NetworkInterfaceId')
    const call: Call = { kind: 'attach', nic, index: form.count('DeviceIndex'), token: '' }
    const answer = await this.#call(call, form.text('InstanceId'))
    return 'kind' in answer ? answer : { attachmentId: attachmentOf(nic), networkCardIndex: 0 }
  }

  async #done(call: Call): Promise<Content | Failure> {
    const answer = await this.#call(call)
    return 'kind' in answer ? answer : DONE
  }

  async #call(call: Call, machine?: string): Promise<Reply | Failure> {
    const of = machine ?? ('nic' in call ? this.#cloud.nics.get(call.nic)?.machine : undefined) ?? ''
    return await new Promise(done => this.#cloud.call(of, call, done))
  }

  async #read(action: string, commit: () => Content): Promise<Content | Failure> {
    return await new Promise(done => this.#others.request({ name: action, rate: READING }, READ_MS, { commit }, done))
  }

  #nic(nic: SeenNic): Content {
    const free = nic.machine === ''
    return {
      networkInterfaceId: nic.id,
      subnetId: nic.subnet,
      vpcId: VPC.id,
      ownerId: OWNER,
      requesterManaged: false,
      availabilityZone: SUBNETS.find(({ id }) => id === nic.subnet)?.zone,
      status: free ? 'available' : 'in-use',
      macAddress: nic.mac,
      privateIpAddress: nic.addresses[0],
      sourceDestCheck: true,
      interfaceType: 'interface',
      groupSet: [{ groupId: VPC.group, groupName: 'lab' }],
      attachment: free ? undefined : attachment(nic),
      tagSet: tagSet(this.#tags.get(nic.id) ?? []),
      privateIpAddressesSet: [
        ...nic.addresses.map(privateIpAddress => ({ privateIpAddress, primary: true })),
        ...singles(nic.blocks).map(privateIpAddress => ({ privateIpAddress, primary: false })),
      ],
      ipv4PrefixSet: prefixesIn(nic.blocks).map(ipv4Prefix => ({ ipv4Prefix })),
      ipv6AddressesSet: [],
      ipv6PrefixSet: [],
    }
  }
}

function attachment({ id, machine, index, status, deletedWithMachine }: SeenNic): Content {
  const card = { networkCardIndex: 0, deleteOnTermination: deletedWithMachine }
  return {
    attachmentId: attachmentOf(id),
    instanceId: machine,
    instanceOwnerId: OWNER,
    deviceIndex: index,
    status,
    ...card,
  }
}

function attachmentOf(nic: NicId): string {
  return nic.replace('eni-', 'eni-attach-')
}
function nicOf(attachmentId: string): NicId {
  return attachmentId.replace('eni-attach-', 'eni-')
}

function tagSet(tags: Iterable<readonly [string, string]>): Xml {
  return [...tags].map(([key, value]) => ({ key, value }))
}

function singles(blocks: readonly Prefix[]): Address[] {
  return blocks.filter(block => block.endsWith('/32')).map(block => block.slice(0, -'/32'.length))
}
function prefixesIn(blocks: readonly Prefix[]): Prefix[] {
  return blocks.filter(block => familyIn(block) === 4 && !block.endsWith('/32'))
}

/** A page as large as was asked for; the token is where the next one begins. */
function page<T>(all: readonly T[], form: Form): { readonly items: readonly T[]; readonly nextToken?: string } {
  const from = form.count('NextToken')
  const to = from + (form.count('MaxResults') || all.length)
  return { items: all.slice(from, to), ...(to < all.length && { nextToken: `${to}` }) }
}

function securityGroups(form: Form): Content {
  const wanted = form.filters().get('group-id') ?? [VPC.group]
  const found = wanted.filter(id => id === VPC.group)
  return { securityGroupInfo: found.map(groupId => ({ groupId, groupName: 'lab', vpcId: VPC.id })) }
}

function instanceTypes(form: Form): Content {
  const unknown = form.list('InstanceType').find(type => type !== MACHINE_TYPE)
  if (unknown !== undefined)
    refuse('invalid', `InvalidInstanceType: The following supplied instance types do not exist: [${unknown}]`)
  const { nics, slots } = LIMITS
  const card = { networkCardIndex: 0, maximumNetworkInterfaces: nics }
  const networkInfo = {
    maximumNetworkInterfaces: nics,
    ipv4AddressesPerInterface: slots + 1,
    ipv6Supported: false,
    defaultNetworkCardIndex: 0,
    networkCards: [card],
  }
  return { instanceTypeSet: [{ instanceType: MACHINE_TYPE, hypervisor: 'nitro', bareMetal: false, networkInfo }] }
}
