/** `causeway ipam simulate`: what a burst of pods would wait for addresses of a cloud, and what it would cost in calls. */
import { writeFileSync } from 'node:fs'
import type { SimulationReport } from '../../../plugins/cloud-core/simulate/report.ts'
import type { Scenario } from '../../../plugins/cloud-core/simulate/scenario.ts'
import { type CommandContext, type CommandSpec, formatOption, type OptionValues, UsageError } from '../command.ts'
import { print } from '../output.ts'
import { textTable } from '../text-table.ts'

const NAME = 'ipam simulate'

export const ipamSimulate: CommandSpec = {
  name: NAME,
  summary: 'Simulate a burst of pods on nodes of a cloud: when each has its address, and what calls that takes.',
  about:
    'The core and the scheduler of the operator work against a cloud in memory, in simulated time: the same figures for ' +
    'the same seed. Latencies and budgets are those that AWS is known for: 50 changes of a kind at once and 5 a second, ' +
    '100 reads and 20 a second.',
  options: {
    cloud: { type: 'string', value: 'CLOUD', about: 'aws.' },
    nodes: { type: 'string', value: 'N', about: 'How many nodes; 1.' },
    'pods-per-node': { type: 'string', value: 'N', about: 'How many pods come to each; 30.' },
    within: { type: 'string', value: 'DURATION', about: 'In how long they come, such as 60s; 0s: all at once.' },
    'pods-before': { type: 'string', value: 'N', about: 'How many pods each node has before; 0.' },
    addresses: { type: 'boolean', about: 'Single addresses instead of prefixes of 16.' },
    interfaces: { type: 'string', value: 'N', about: 'Network interfaces of a machine; 8, as of an m5.4xlarge.' },
    slots: { type: 'string', value: 'N', about: 'Addresses or prefixes of an interface besides its own; 29.' },
    'max-pods': { type: 'string', value: 'N', about: 'Pods that a node takes; 110.' },
    'pre-allocate': { type: 'string', value: 'N', about: 'Free addresses that each node keeps; 8.' },
    seed: { type: 'string', value: 'N', about: 'Another number is another run; 1.' },
    compare: {
      type: 'boolean',
      about: "Also the algorithms of the VPC CNI and of Cilium's operator, as they are documented.",
    },
    svg: { type: 'string', value: 'FILE', about: 'Draw pods and addresses over time into this file.' },
    ...formatOption,
  },
  async run(context) {
    const { options, programs, signal } = context
    const scenario = scenarioOf(options)
    const compare = options.flag('compare')
    const { report, svg } = await programs.simulate(scenario, {
      compare,
      signal,
      say: text => context.err(`${text}\n`),
    })
    const file = options.text('svg')
    if (file !== undefined) writeFileSync(file, svg)
    print(context, report, value => reportText(value, context))
    return 0
  },
}

function scenarioOf(options: OptionValues): Scenario {
  const cloud = options.text('cloud') ?? 'aws'
  if (cloud !== 'aws') throw new UsageError(`--cloud ${cloud} is not simulated; allowed: aws`, NAME)
  const number = (name: string, or: number, least: number, most: number): number => {
    const text = options.text(name)
    if (text === undefined) return or
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new UsageError(`--${name} ${text}: allowed: a whole number from ${least} to ${most}`, NAME)
  }
  const prefixes = !options.flag('addresses')
  const [nics, slots] = [number('interfaces', 8, 1, 64), number('slots', 29, 1, 255)]
  return {
    seed: number('seed', 1, 0, 2 ** 32 - 1),
    nodes: number('nodes', 1, 1, 10_000),
    pods: number('pods-per-node', 30, 1, 1000),
    before: number('pods-before', 0, 0, 1000),
    withinMs: withinOf(options.text('within') ?? '60s'),
    prefixes,
    limits: { nics, slots, lengths: { 4: prefixes ? [28, 32] : [32], 6: [80] }, wholeWrites: false },
    policy: {
      families: [4],
      preAllocate: number('pre-allocate', 8, 0, 1000),
      min: 0,
      maxAbove: 16,
      maxPods: number('max-pods', 110, 1, 1000),
      releaseDelayMs: 180_000,
      firstNic: 0,
      prefixes,
    },
    cooldownMs: 30_000,
  }
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

function withinOf(text: string): number {
  const [, count, unit] = /^(\d{1,6})(ms|s|m|h)$/.exec(text) ?? []
  if (count === undefined) throw new UsageError(`--within ${text}: allowed: a duration such as 500ms, 60s or 5m`, NAME)
  return Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS]
}

function reportText(report: SimulationReport, _context: Pick<CommandContext, 'colour'>): string {
  const { nodes, pods, withinMs, prefixes, seed } = report.scenario
  const what = prefixes ? 'prefixes of 16' : 'single addresses'
  const title = `${nodes} nodes, ${pods} pods each within ${withinMs / 1000} s, ${what}, seed ${seed}`
  const rows = report.figures.map(f => [
    f.algorithm,
    ...[f.p50Ms, f.p99Ms, f.lastMs].map(secondsText),
    `${f.changes}`,
    `${f.reads}`,
    `${f.throttled}`,
    `${f.held.before}`,
    `${f.held.after}`,
  ])
  const columns = [
    'algorithm',
    'p50 s',
    'p99 s',
    'last s',
    'changes',
    'reads',
    'throttled',
    'held before',
    'held after',
  ]
  const [first] = report.figures
  const calls = (first?.calls ?? []).map(({ api, calls: count, throttled }) => [api, `${count}`, `${throttled}`])
  return [
    `${title}\n`,
    textTable(columns, rows, 'nothing'),
    textTable([`calls of ${first?.algorithm ?? ''}`, 'made', 'throttled'], calls, 'no calls'),
  ].join('\n')
}

/** Seconds with what can be told apart: `0.47`, `15.7`, `174`. */
function secondsText(ms: number | null): string {
  if (ms === null) return 'never'
  const seconds = ms / 1000
  return seconds.toFixed(seconds < 10 ? 2 : seconds < 100 ? 1 : 0)
}
