/** What a NodeNetwork says of addresses from the cloud, read and written as the leader has it. Throws ObjectError. */
import { BLOCK_PHASES } from '../../state/cloud-rows.ts'
import type { Demand, SeenSubnet } from '../../../plugins/cloud-core/model.ts'
import type { Published } from '../../../plugins/cloud-core/node-state.ts'
import type { DemandEvent } from '../../../plugins/cloud-core/step.ts'
import { NIC_PHASES } from '../../cluster/kinds/cloud-addresses.ts'
import type { RowTarget } from '../../cluster/kubernetes/row-sink.ts'
import { rowsOf } from '../../cluster/kubernetes/watched-rows.ts'
import { ObjectError, type ObjectField } from '../../cluster/object-field.ts'
import { canonicalPrefix } from '../../kernel/ip.ts'
import type { Family } from '../../kernel/kernel.ts'
import { parseNetwork } from '../parse.ts'
import type { CloudNetworkRow, NodeNetworkRow, OperatorTables } from '../rows.ts'

export interface CloudPart {
  /** The machine that it was written for; empty when nothing was. */
  readonly machine: string
  readonly published: Published | undefined
  /** Why no more addresses come, as it was written. */
  readonly shortage: string
  readonly demand: DemandEvent | undefined
}

/** NodeNetworks as two rows: what changes with every pod apart from the rest. */
export function networksTarget({
  networks,
  cloudNetworks,
}: Pick<OperatorTables, 'networks' | 'cloudNetworks'>): RowTarget<NetworkRows> {
  const [own, cloud] = [rowsOf(networks), rowsOf(cloudNetworks)]
  return {
    get(name) {
      const [network, part] = [own.get(name), cloud.get(name)]
      return network && part && { network, cloud: part }
    },
    put(name, row) {
      own.put(name, row.network)
      cloud.put(name, row.cloud)
    },
    delete(name) {
      own.delete(name)
      cloud.delete(name)
    },
    replace(rows) {
      own.replace(new Map([...rows].map(([name, row]) => [name, row.network])))
      cloud.replace(new Map([...rows].map(([name, row]) => [name, row.cloud])))
    },
  }
}

export interface NetworkRows {
  readonly network: NodeNetworkRow
  readonly cloud: CloudNetworkRow
}

/** A part of addresses that cannot be read keeps nothing of the rest from being used. */
export function parseNetworkRows(object: ObjectField): NetworkRows {
  const network = parseNetwork(object)
  return { network, cloud: { name: network.name, uid: network.uid, cloud: partOf(object) } }
}

function partOf(object: ObjectField): CloudPart | string {
  try {
    return parseCloudPart(object)
  } catch (error) {
    if (error instanceof ObjectError) return `${error.field}: ${error.problem}`
    throw error
  }
}

export function parseCloudPart(network: ObjectField): CloudPart {
  const spec = network.at('spec').at('cloud')
  const status = network.at('status').at('cloudAddresses')
  return {
    machine: spec.at('machine').text() ?? '',
    shortage: spec.at('shortage').text() ?? '',
    published: spec.absent ? undefined : parsePublished(spec),
    demand: status.absent ? undefined : parseDemand(status),
  }
}

/** `spec.cloud` for a node. */
export function cloudSpecOf(
  published: Published,
  of: { readonly provider: string; readonly machine: string; readonly shortage: string },
  subnets: ReadonlyMap<string, Pick<SeenSubnet, 'cidrs'>>,
): object {
  const nics = published.nics.map(nic => ({ ...nic, subnetCidrs: subnets.get(nic.subnet)?.cidrs ?? [] }))
  return { ...of, ...published, nics }
}

function parsePublished(spec: ObjectField): Published {
  return {
    nics: spec.at('nics').items().map(parseNic),
    blocks: spec.at('blocks').items().map(parseBlock),
    intents: spec.at('intents').items().map(parseIntent),
    lastBorn: spec.at('lastBorn').whole() ?? 0,
    lastIntent: spec.at('lastIntent').whole() ?? 0,
  }
}

function parseNic(item: ObjectField): Published['nics'][number] {
  return {
    id: required(item.at('id')),
    mac: item.at('mac').text() ?? '',
    subnet: item.at('subnet').text() ?? '',
    index: item.at('index').whole() ?? -1,
    addresses: item
      .at('addresses')
      .items()
      .map(address => required(address)),
    phase: wordOf(item.at('phase'), NIC_PHASES),
    token: item.at('token').text() ?? '',
  }
}

function parseBlock(item: ObjectField): Published['blocks'][number] {
  return {
    block: item.at('block').converted(canonicalPrefix),
    nic: required(item.at('nic')),
    phase: wordOf(item.at('phase'), BLOCK_PHASES),
    born: item.at('born').whole() ?? 0,
  }
}

function parseIntent(item: ObjectField): Published['intents'][number] {
  return {
    token: required(item.at('token')),
    subnet: required(item.at('subnet')),
    length: item.at('length').whole() ?? 32,
    count: item.at('count').whole() ?? 0,
  }
}

function parseDemand(status: ObjectField): DemandEvent {
  const demand = status
    .at('demand')
    .items()
    .map((item): readonly [Family, Demand] => {
      const family = wordOf(item.at('family'), ['IPv4', 'IPv6'] as const) === 'IPv4' ? 4 : 6
      const count = (name: string): number => Math.max(0, item.at(name).whole() ?? 0)
      return [family, { assigned: count('assigned'), waiting: count('waiting'), cooling: count('cooling') }]
    })
  return {
    kind: 'demand',
    demand: new Map(demand),
    idle: status
      .at('idle')
      .items()
      .map(item => item.converted(canonicalPrefix)),
    drained: status
      .at('drained')
      .items()
      .map(item => ({ block: item.at('block').converted(canonicalPrefix), born: item.at('born').whole() ?? 0 })),
  }
}

function required(field: ObjectField): string {
  return field.text() ?? field.fail('is missing')
}

function wordOf<T extends string>(field: ObjectField, words: readonly T[]): T {
  return words.find(word => word === field.value) ?? field.fail(`must be one of ${words.join(', ')}`)
}
