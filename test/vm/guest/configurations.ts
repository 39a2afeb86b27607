/**
 * The load-time configurations (bpf/lib/config.h) with which every object is loaded: all features off, all on, those the
 * daemon sets, and a cover in which each two values of different constants meet. Pure.
 */
import { checkSection } from '../../../daemon/config/check.ts'
import { type Settings, schema } from '../../../daemon/config/schema.ts'
import { programConstants } from '../../../daemon/datapath/constants.ts'

/** Values by the name of a constant. */
export type Configuration = Readonly<Record<string, number | bigint>>
export interface NamedConfiguration {
  readonly name: string
  readonly values: Configuration
}

interface Parameter {
  readonly name: string
  /** Features off first, all on last. */
  readonly levels: readonly Configuration[]
}

const SECOND_NS = 1_000_000_000n
const LIFETIMES = [
  'ct_tcp_opening_ns',
  'ct_tcp_established_ns',
  'ct_tcp_closing_ns',
  'ct_tcp_closed_ns',
  'ct_udp_opening_ns',
  'ct_udp_ns',
  'ct_icmp_ns',
  'ct_other_ns',
]
const lifetimes = (ns: bigint): Configuration => Object.fromEntries(LIFETIMES.map(name => [name, ns]))

/** Constants that only make sense together are one parameter. */
export const PARAMETERS: readonly Parameter[] = [
  {
    name: 'overlay',
    levels: [
      { overlay_ifindex: 0, overlay_mtu: 0, overlay_vni: 0, overlay_port: 0 },
      { overlay_ifindex: 7, overlay_mtu: 1450, overlay_vni: 202, overlay_port: 8472 },
      { overlay_ifindex: 0x7fff_ffff, overlay_mtu: 65_485, overlay_vni: 0xff_ffff, overlay_port: 0xffff },
    ],
  },
  {
    name: 'ports',
    levels: [
      { reserved_ports_first: 30_000, reserved_ports_last: 60_999 },
      { reserved_ports_first: 1024, reserved_ports_last: 65_534 },
    ],
  },
  { name: 'lifetimes', levels: [lifetimes(0n), lifetimes(8000n * SECOND_NS)] },
  { name: 'full', levels: [{ ct_full_drops: 0 }, { ct_full_drops: 1 }] },
  { name: 'flows', levels: [0, 2, 7].map(flow_events => ({ flow_events })) },
  {
    name: 'drops',
    levels: [
      { drop_events_per_second: 0, drop_events_burst: 0 },
      { drop_events_per_second: 1000, drop_events_burst: 1000 },
    ],
  },
  {
    name: 'answers',
    levels: [
      { answers_per_second: 0, answers_burst: 0 },
      { answers_per_second: 1000, answers_burst: 50 },
    ],
  },
  { name: 'steady', levels: [256, 32_768].map(steady_sets => ({ steady_sets })) },
  { name: 'host', levels: [0n, 7n].map(host_netns => ({ host_netns })) },
  { name: 'dsr', levels: [0, 1, 2, 3].map(dsr_dispatch => ({ dsr_dispatch, dsr_port: 6081 + dsr_dispatch })) },
  { name: 'gateway', levels: [0, 1].map(egress_gateway => ({ egress_gateway })) },
  { name: 'network interfaces', levels: [0, 1, 3].map(nic_flags => ({ nic_flags })) },
  { name: 'former pods', levels: [0, 1].map(former_pods => ({ former_pods })) },
  { name: 'masquerade', levels: [0, 3, 31].map(masquerade_flags => ({ masquerade_flags })) },
  { name: 'batches', levels: [{ event_batch_bytes: 0 }, { event_batch_bytes: 262_144 }] },
]

/** All of them; the names are unique. */
export function configurations(): NamedConfiguration[] {
  return [
    { name: 'off', values: chosen(PARAMETERS.map(() => 0)) },
    { name: 'on', values: chosen(PARAMETERS.map(p => p.levels.length - 1)) },
    { name: 'as compiled', values: {} },
    ...profiles(),
    ...pairwise(PARAMETERS.map(p => p.levels.length)).map((levels, i) => ({
      name: `pairs ${i + 1}`,
      values: chosen(levels),
    })),
  ]
}

/** What the daemon sets for the configurations that docs and lab know. */
function profiles(): NamedConfiguration[] {
  const { datapath } = checkSection(schema, undefined, '', []) as Settings
  const overlay = { ifindex: 7, mtu: 1450, vni: 202, port: 8472 }
  const quiet = { ...datapath, flowEvents: false }
  const strict = { ...datapath, conntrack: { ...datapath.conntrack, whenFull: 'drop' as const } }
  const profile = (name: string, input: Parameters<typeof programConstants>[0]): NamedConfiguration => {
    // The profile's values are numbers: none of these constants is of another type.
    return { name, values: programConstants(input) as Configuration }
  }
  return [
    profile('native routing', { datapath }),
    profile('VXLAN', { datapath, overlay }),
    profile('VXLAN without flow events', { datapath: quiet, overlay }),
    profile('native routing, a full conntrack drops', { datapath: strict }),
  ]
}

function chosen(levels: readonly number[]): Configuration {
  return Object.assign({}, ...PARAMETERS.map((p, i) => p.levels[levels[i] ?? 0])) as Configuration
}

/**
 * Rows of levels in which each two levels of different parameters meet at least once, for as many levels as `counts`
 * gives: each row begins with a pair that has not met yet, and goes on greedily, parameter by parameter.
 */
export function pairwise(counts: readonly number[]): number[][] {
  const missing = new Map(pairsOf(counts).map(pair => [nameOf(...pair), pair]))
  const rows: number[][] = []
  for (let [first] = missing.values(); first !== undefined; [first] = missing.values()) {
    const chosen = new Map(first)
    for (const [parameter, count] of counts.entries()) {
      if (chosen.has(parameter)) continue
      const gain = (level: number): number =>
        [...chosen].filter(other => missing.has(nameOf(other, [parameter, level]))).length
      chosen.set(
        parameter,
        range(count).reduce((a, b) => (gain(b) > gain(a) ? b : a)),
      )
    }
    const row = counts.map((_, parameter) => chosen.get(parameter) ?? 0)
    for (const pair of pairsIn(row)) missing.delete(nameOf(...pair))
    rows.push(row)
  }
  return rows
}

/** A parameter and a level of it. */
type Choice = readonly [parameter: number, level: number]
type Pair = readonly [Choice, Choice]

function pairsOf(counts: readonly number[]): Pair[] {
  return counts.flatMap((count, a) =>
    range(count).flatMap(level =>
      counts.flatMap((others, b) =>
        b > a
          ? range(others).map(
              (other): Pair => [
                [a, level],
                [b, other],
              ],
            )
          : [],
      ),
    ),
  )
}

function pairsIn(row: readonly number[]): Pair[] {
  const choices = [...row.entries()]
  return choices.flatMap((a, i) => choices.slice(i + 1).map((b): Pair => [a, b]))
}

/** The same whichever of the two comes first. */
function nameOf(a: Choice, b: Choice): string {
  const [first, second] = a[0] < b[0] ? [a, b] : [b, a]
  return `${first[0]}=${first[1]} ${second[0]}=${second[1]}`
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i)
}
