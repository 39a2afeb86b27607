/** What daemons and operators say at /metrics, from the functions that declare it, with figures that a test can ask for. */
import { apiMetrics } from '../../daemon/cluster/kubernetes/metrics.ts'
import { exposeSource } from '../../daemon/cluster/source.ts'
import { keepConntrack } from '../../daemon/datapath/conntrack.ts'
import { exposeServices } from '../../daemon/datapath/services.ts'
import { DropReason, Hook, MetricKind } from '../../daemon/datapath/shared.gen.ts'
import { endpointMetrics, Progress } from '../../daemon/endpoint/metrics.ts'
import { exposeCounters } from '../../daemon/flow/counters.ts'
import { exposeNat } from '../../daemon/nat/figures.ts'
import { exposeHealth, Health } from '../../daemon/observe/health.ts'
import { createMetrics, type MetricInfo, type MetricsRegistry } from '../../daemon/observe/metrics.ts'
import type { CloudFigures } from '../../daemon/operator/cloud/figures.ts'
import { cloudMetrics } from '../../daemon/operator/cloud/metrics.ts'
import { operatorMetrics } from '../../daemon/operator/metrics.ts'
import type { Histogram, Metrics } from '../../daemon/plugin.ts'
import { Meter } from '../../daemon/state/meter.ts'
import { plugins } from '../../plugins/index.ts'
import { fakeHost } from './fake-host.ts'
import { FakeLog } from './fake-log.ts'

export interface SampleMetrics {
  /** All that is declared, the operator's among it. */
  readonly declared: readonly MetricInfo[]
  /** The text of the next scrape; what counts has counted on. */
  expose(): Promise<string>
}

/** A daemon's. Stops what plugins started when the signal aborts. */
export async function sampleDaemonMetrics(signal: AbortSignal): Promise<SampleMetrics> {
  const metrics = createMetrics({ version: '0.1.0', node: '24' })
  const counted = { scrapes: 0 }
  const endpoints = endpointMetrics(metrics)
  const meter = new Meter('routes', metrics)
  const health = new Health()
  exposeHealth(metrics, health)
  apiMetrics(metrics)
  exposeSource(metrics, {
    name: 'kubernetes',
    problems: () => [],
    waitingFor: () => undefined,
    run: () => Promise.resolve(),
  })
  exposeNat(metrics, () =>
    Promise.resolve({ users: [], addresses: [{ egressAddress: '192.0.2.7', headroom: 60_000 }] }),
  )
  exposeServices(metrics, { ended: () => counted.scrapes, hits: () => new Map() })
  exposeCounters(metrics, () => packets(counted.scrapes))
  declareConntrack(metrics)
  const waits: Histogram[] = []
  const histogram: Metrics['histogram'] = (...declared) => {
    const made = metrics.histogram(...declared)
    if (declared[0] === 'cloud_address_wait_seconds') waits.push(made)
    return made
  }
  for (const plugin of plugins) {
    // A node is of one cloud; the plugins of all of them declare the same.
    if (plugin.name === 'azure' || plugin.name === 'gcp') continue
    const host = { ...fakeHost(), metrics: { ...metrics, histogram } }
    await plugin.configure(SECTIONS[plugin.name] ?? {})(host)
    signal.addEventListener('abort', () => void host.stop())
  }
  return sample(metrics, counted, () => {
    for (const verb of ['add', 'del'] as const) endpoints.total.observe(0.01, { verb, result: 'ok' })
    endpoints.errors.inc({ verb: 'add', code: 'DEADLINE' })
    endpoints.inFlight.set(1, { verb: 'add' })
    new Progress(endpoints.step, () => {}).passed('add.journal')
    for (const wait of waits) wait.observe(0.2, { pool: 'default', family: 'ipv4' })
    meter.done('update', 3)
    meter.failed('update', 1)
    meter.foundWrong('update', 1)
    meter.pending(counted.scrapes)
  })
}

const CLOUD: CloudFigures = {
  budgets: [{ api: 'AssignPrivateIpAddresses', calls: 40, perSecond: 4.75 }],
  queued: new Map([['AssignPrivateIpAddresses', 3]]),
  addresses: { allocatable: 320, draining: 16, drained: 0, releasing: 16, released: 0 },
  demand: { assigned: 200, waiting: 4, cooling: 2 },
  fragmentation: 0.25,
  leftovers: 1,
  unprotected: 0,
  subnets: [{ id: 'subnet-1', zone: 'zone-a', free: 120, prefixes: 6 }],
  observationAge: 42,
  mode: 'normal',
  short: new Map([['SubnetsFull', 2]]),
}

/** An operator's that leads. */
export function sampleOperatorMetrics(): SampleMetrics {
  const metrics = createMetrics({ version: '0.1.0', node: '24' })
  exposeHealth(metrics, new Health())
  apiMetrics(metrics)
  operatorMetrics(metrics, { leading: () => true, uses: () => [], problems: () => [], policies: () => 2 })
  const meter = cloudMetrics(metrics, () => CLOUD)
  return sample(metrics, { scrapes: 0 }, () => {
    meter.called('AssignPrivateIpAddresses', undefined, 400)
    meter.called('AssignPrivateIpAddresses', { kind: 'throttled', message: '' }, 100)
    meter.waited('AssignPrivateIpAddresses', 20)
    meter.collected()
  })
}

/** Sections of plugins that make them declare all they have. */
const SECTIONS: Readonly<Record<string, object>> = { masquerade: { agentFile: '/nowhere/agent' } }

function packets(scrapes: number) {
  const one = { packets: 10 * scrapes, bytes: 1000 * scrapes }
  const hooks = Object.values(Hook).map(hook => ({ kind: MetricKind.METRIC_FORWARDED, hook, reason: 0, ...one }))
  const drops = [DropReason.DROP_NO_BACKEND, DropReason.DROP_NAT_PORTS, DropReason.DROP_SPOOFED_ADDRESS].map(reason => {
    return { kind: MetricKind.METRIC_DROPPED, hook: Hook.HOOK_POD_OUT, reason, ...one }
  })
  return [...hooks, ...drops]
}

function declareConntrack(metrics: MetricsRegistry): void {
  const never = (): Promise<never> => new Promise(() => {})
  const none = { limit: 0, capacity: () => 0, rejected: () => 0, departed: () => false, expire: never, grow: never }
  void keepConntrack({ metrics, log: new FakeLog(), ...none }, AbortSignal.abort())
}

function sample(metrics: MetricsRegistry, counted: { scrapes: number }, happen: () => void): SampleMetrics {
  return {
    declared: metrics.list(),
    async expose() {
      counted.scrapes++
      happen()
      const text = await metrics.expose()
      return (
        text +
        metrics
          .list()
          .flatMap(metric => fillIn(metric, text, counted.scrapes))
          .join('')
      )
    },
  }
}

/** Values of labels that queries ask for; other labels have their own name. */
const LABELS: Readonly<Record<string, string>> = { status: '500', state: 'used', gateway: '' }

/** One series of a metric that has none, with the labels that it was declared with. */
function fillIn({ name, kind, labels }: MetricInfo, text: string, scrapes: number): string[] {
  if (kind === 'histogram' || new RegExp(`^${name}[ {]`, 'm').test(text)) return []
  const shown = labels.map(label => `${label}="${LABELS[label] ?? label}"`).join(',')
  return [`${name}${shown === '' ? '' : `{${shown}}`} ${kind === 'counter' ? 10 * scrapes : 1}\n`]
}
