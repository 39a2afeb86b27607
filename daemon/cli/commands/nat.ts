/** `causeway nat`: which ports pods leave the cluster with, and how many are left. */
import type { DestinationUsage, Mapping, NatReport } from '../../nat/report.ts'
import type { AddressUsage, Listed, PodUsage } from '../../nat/sums.ts'
import { MOST_ROWS } from '../../nat/top.ts'
import type { NatWay } from '../../nat/way.ts'
import { socketText } from '../../service/frontends.ts'
import { type CommandSpec, clientOptions, formatOption, type OptionValues, UsageError } from '../command.ts'
import { print } from '../output.ts'
import { textTable } from '../text-table.ts'
import { duration } from '../units.ts'

export const nat: CommandSpec = {
  name: 'nat',
  summary: 'Show the ports that pods leave the cluster with, who uses most, and how many are left.',
  about:
    'The same port of an address serves different destinations at once, so what is left is told of each destination. FREE is what is left of OF: the ports from 1024 on without those that sockets of the node hold.',
  options: {
    pod: {
      type: 'string',
      value: 'NAMESPACE/NAME',
      about: 'Only where this pod goes, with its mappings; its name alone or an address will do.',
    },
    top: { type: 'string', value: 'N', about: 'How many destinations and pods to show, most ports first; 10.' },
    mappings: { type: 'boolean', about: 'List single mappings too, the newest first.' },
    limit: { type: 'string', value: 'N', about: 'How many mappings to list; 50.' },
    ...formatOption,
    ...clientOptions,
  },
  async run(context) {
    const report = await context.client().json<NatReport>(`/v1/nat?${queryOf(context.options)}`)
    print(context, report, value => reportText(value, listsMappings(context.options)))
    return 0
  },
}

function listsMappings(options: OptionValues): boolean {
  return options.flag('mappings') || options.text('pod') !== undefined || options.text('limit') !== undefined
}

function queryOf(options: OptionValues): string {
  const pod = options.text('pod')
  const limit = numberOf(options, 'limit') ?? '50'
  return new URLSearchParams({
    top: numberOf(options, 'top') ?? '10',
    ...(listsMappings(options) && { mappings: limit }),
    ...(pod !== undefined && { pod }),
  }).toString()
}

function numberOf(options: OptionValues, name: string): string | undefined {
  const text = options.text(name)
  if (text !== undefined && !/^\d+$/.test(text)) throw new UsageError(`--${name} ${text} is no number`, 'nat')
  return text
}

function reportText(report: NatReport, withMappings: boolean): string {
  const { masquerade, addresses, destinations, pods, mappings } = report
  const off = 'masquerade is off: pods leave the cluster with their own addresses'
  const open = mappings.total > 0 ? '; these flows were open before' : ''
  if (!masquerade && mappings.total === 0 && addresses.length === 0) return `${off}\n`
  const parts = [
    ...(masquerade ? [] : [`${off}${open}\n`]),
    textTable(
      ['address', 'devices', 'mappings', 'destinations', 'least free', 'to'],
      addresses.map(addressCells),
      'no addresses',
    ),
    textTable(
      ['destination', 'address', 'used', 'free', 'of', 'pods'],
      destinations.list.map(destinationCells),
      'no flow leaves the cluster',
    ) + leftOut(destinations, 'destinations', '--top'),
    textTable(['pod', 'mappings', 'destinations', 'most to', 'with', 'ports'], pods.list.map(podCells), 'no pods') +
      leftOut(pods, 'pods', '--top'),
    ...(withMappings
      ? [
          textTable(
            ['protocol', 'pod', 'from', 'as', 'to', 'state', 'age'],
            mappings.list.map(mappingCells),
            'no mappings',
          ) + leftOut(mappings, 'mappings', '--limit'),
        ]
      : []),
  ]
  return parts.join('\n')
}

/** What a list does not show, and how it would; empty when it shows all. */
function leftOut({ total, list }: Listed<unknown>, what: string, option: string): string {
  const more = total - list.length
  const how = total > MOST_ROWS ? '' : `; ${option} ${total} shows all`
  return more > 0 ? `… and ${more} more ${what}${how}\n` : ''
}

function wayText({ protocol, destination, destinationPort }: NatWay): string {
  return `${protocol} ${destinationPort === undefined ? destination : socketText(destination, destinationPort)}`
}

function addressCells({ egressAddress, devices, mappings, destinations, headroom, fullest }: AddressUsage): string[] {
  const where = devices.length === 0 ? 'no more' : devices.join(', ')
  return [egressAddress, where, `${mappings}`, `${destinations}`, `${headroom}`, fullest ? wayText(fullest) : '-']
}

/** Pods of a destination that are named. */
const NAMED = 3

function destinationCells({ used, free, total, pods, ...way }: DestinationUsage): string[] {
  const named = pods.slice(0, NAMED).map(({ pod, used: own }) => `${pod} ${own}`)
  const others = pods.length > NAMED ? [`${pods.length - NAMED} more`] : []
  return [wayText(way), way.egressAddress, `${used}`, `${free}`, `${total}`, [...named, ...others].join(', ')]
}

function podCells({ pod, mappings, destinations, most }: PodUsage): string[] {
  return [pod, `${mappings}`, `${destinations}`, wayText(most), most.egressAddress, `${most.used}`]
}

function mappingCells(mapping: Mapping): string[] {
  const { protocol, pod, podAddress, podPort, destination, destinationPort, egressAddress, egressPort } = mapping
  return [
    protocol,
    pod,
    socketText(podAddress, podPort),
    socketText(egressAddress, egressPort),
    socketText(destination, destinationPort),
    mapping.state,
    duration(mapping.ageSeconds * 1000),
  ]
}
