/** The parts of a NodeNetwork that are about addresses from the cloud: what the operator says, and what the node does. */
import { BLOCK_PHASES } from '../../state/cloud-rows.ts'
import { address, group, list, prefix, text, whole, word } from './shape.ts'

/** Ways of a network interface of a machine; pods get addresses only of those that are `ready`. */
export const NIC_PHASES = ['made', 'attached', 'ready', 'leaving', 'detached', 'foreign'] as const

/** No machine of a cloud has so many. */
const MOST_NICS = 64
const MOST_BLOCKS = 4096

const id = text({ maxLength: 512 })
const count = whole(0, Number.MAX_SAFE_INTEGER, { format: 'int64' })

const life = group({ 'block!': prefix, 'born!': count })

export const cloudSpec = group(
  {
    'provider!': word(['aws', 'azure', 'gcp']),
    machine: text({ maxLength: 512, description: 'As the cloud calls the machine.' }),
    nics: list(
      group({
        'id!': id,
        'mac!': text({ maxLength: 17, description: 'Of its device; the node looks for it there.' }),
        'index!': whole(-1, 1024, { description: 'Its place in the machine; -1: attached to nothing.' }),
        subnet: id,
        subnetCidrs: list(prefix, 16),
        addresses: list(address, 64, { description: 'Its own, which no pod gets.' }),
        'phase!': word(NIC_PHASES),
        token: text({ maxLength: 128, description: 'Of the request that made it.' }),
      }),
      MOST_NICS,
      { description: 'Network interfaces of the machine.' },
    ),
    blocks: list(group({ 'block!': prefix, 'nic!': id, 'phase!': word(BLOCK_PHASES), 'born!': count }), MOST_BLOCKS, {
      description: 'Addresses that the cloud gave to its interfaces. Pods get those that are allocatable.',
    }),
    intents: list(
      group({ 'token!': text({ maxLength: 128 }), 'subnet!': id, 'length!': whole(0, 128), 'count!': count }),
      MOST_NICS,
      { description: 'Interfaces that were asked for and have not been seen.' },
    ),
    lastBorn: count,
    lastIntent: count,
    shortage: text({ maxLength: 1024, description: 'Why no more addresses come; empty while they do.' }),
  },
  { description: 'Addresses of the cloud that the node may give to pods.' },
)

export const cloudAddressesStatus = group(
  {
    demand: list(
      group({ 'family!': word(['IPv4', 'IPv6']), 'assigned!': count, 'waiting!': count, 'cooling!': count }),
      2,
      { description: 'Addresses that pods have, wait for, or have given back lately.' },
    ),
    idle: list(prefix, MOST_BLOCKS, { description: 'Blocks that have been unused for a while.' }),
    drained: list(life, MOST_BLOCKS, { description: 'Blocks that nothing will be given of any more.' }),
  },
  { description: 'What the node needs of spec.cloud, and what it has given up.' },
)
