/** `spec.cloud` of a NodeNetwork → rows of this node: whose addresses, of which interfaces, and in which blocks. */
import { canonicalAddress, canonicalPrefix } from '../kernel/ip.ts'
import { BLOCK_PHASES, type CloudBlockRow, type CloudMachineRow, type CloudNicRow } from '../state/cloud-rows.ts'
import { replaceRows } from '../state/replace.ts'
import type { Tables } from '../state/tables.ts'
import { NIC_PHASES } from './kinds/cloud-addresses.ts'
import type { ObjectField } from './object-field.ts'
import { isEmpty } from './object-name.ts'

/** All that the operator says of a node's addresses. */
export interface CloudSpec {
  readonly machine: CloudMachineRow
  readonly nics: readonly CloudNicRow[]
  readonly blocks: readonly CloudBlockRow[]
}

export type CloudTables = Pick<Tables, 'cloudMachines' | 'cloudNics' | 'cloudBlocks'>

const PROVIDERS = ['aws', 'azure', 'gcp'] as const

/** Undefined while nothing is assigned. Throws ObjectError. */
export function parseCloudSpec(network: ObjectField): CloudSpec | undefined {
  const cloud = network.at('spec').at('cloud')
  if (cloud.absent) return undefined
  const blocks = distinct(cloud.at('blocks').items(), parseBlock, row => row.block)
  const standing = Map.groupBy(
    blocks.filter(({ phase }) => phase !== 'releasing' && phase !== 'released'),
    row => row.nic,
  )
  const nics = distinct(cloud.at('nics').items(), parseNic, row => row.id)
  return {
    machine: {
      provider: wordOf(cloud.at('provider'), PROVIDERS),
      machine: cloud.at('machine').text() ?? '',
      network: network.at('metadata').at('uid').text() ?? '',
      shortage: cloud.at('shortage').text() ?? '',
    },
    nics: nics.flatMap(({ phase, ...nic }) =>
      phase === 'ready' ? [{ ...nic, blocks: (standing.get(nic.id) ?? []).map(row => row.block) }] : [],
    ),
    blocks,
  }
}

/** Makes the tables say what the operator says. They change at once for whoever follows them. */
export function writeCloudSpec(tables: CloudTables, spec: CloudSpec | undefined): void {
  replaceRows(tables.cloudMachines, spec === undefined ? [] : [spec.machine])
  replaceRows(tables.cloudNics, spec?.nics ?? [])
  replaceRows(tables.cloudBlocks, spec?.blocks ?? [])
}

function parseBlock(item: ObjectField): CloudBlockRow {
  return {
    block: item.at('block').converted(canonicalPrefix),
    nic: required(item.at('nic')),
    phase: wordOf(item.at('phase'), BLOCK_PHASES),
    born: item.at('born').whole() ?? item.at('born').fail('is missing'),
  }
}

function parseNic(item: ObjectField): Omit<CloudNicRow, 'blocks'> & { readonly phase: (typeof NIC_PHASES)[number] } {
  return {
    id: required(item.at('id')),
    mac: item.at('mac').converted(canonicalMac),
    index: item.at('index').whole() ?? item.at('index').fail('is missing'),
    subnetCidrs: item
      .at('subnetCidrs')
      .items()
      .map(cidr => cidr.converted(canonicalPrefix)),
    addresses: item
      .at('addresses')
      .items()
      .map(address => address.converted(canonicalAddress)),
    phase: wordOf(item.at('phase'), NIC_PHASES),
  }
}

function required(field: ObjectField): string {
  return isEmpty(field) ? field.fail('is missing') : (field.text() ?? '')
}

function wordOf<T extends string>(field: ObjectField, words: readonly T[]): T {
  return words.find(word => word === field.value) ?? field.fail(`must be one of ${words.join(', ')}`)
}

/** As the kernel prints it; Azure writes dashes and capitals. */
function canonicalMac(text: string): string {
  const mac = text.toLowerCase().replaceAll('-', ':')
  if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) return mac
  throw new Error(`${JSON.stringify(text)} is no MAC such as 02:00:0a:00:00:05`)
}

function distinct<T>(items: readonly ObjectField[], parse: (item: ObjectField) => T, keyOf: (row: T) => string): T[] {
  const rows = new Map<string, T>()
  for (const item of items) {
    const row = parse(item)
    const key = keyOf(row)
    if (rows.has(key)) item.fail(`${key} stands twice`)
    rows.set(key, row)
  }
  return [...rows.values()]
}
