/**
 * Prometheus metrics over prom-client, in a registry of their own. Every name gets the prefix `causeway_`; the metrics
 * of the process itself come along under their usual names.
 */
import { isDeepStrictEqual } from 'node:util'
import {
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  Registry,
  collectDefaultMetrics,
} from 'prom-client'
import type { Counter, Gauge, Histogram, Metrics } from '../plugin.ts'
import type { BuildInfo } from './build.ts'

/** One metric as the reference page lists it. */
export interface MetricInfo {
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
}

export interface MetricsRegistry extends Metrics {
  /** The exposition text of all metrics; collectors are asked now. */
  expose(): Promise<string>
  readonly contentType: string
  /** Metrics declared so far, without those of the process, sorted by name. */
  list(): readonly MetricInfo[]
}

/**
 * Builds the registry. The same counter or gauge declared again is the one declared before; a name that is declared
 * otherwise, or that breaks the rules of Prometheus names, throws RangeError.
 */
export function createMetrics(build: BuildInfo): MetricsRegistry {
  const registry = new Registry()
  const declared = new Map<string, MetricInfo>()
  const declare = (kind: MetricInfo['kind'], short: string, help: string, labels: readonly string[] = []) => {
    const name = metricName(kind, short)
    if (declared.has(name)) throw new RangeError(`metric ${name} is declared twice`)
    declared.set(name, { name, kind, help, labels })
    return { name, help, labelNames: [...labels], registers: [registry] }
  }
  const again = (kind: MetricInfo['kind'], name: string, help: string, labels: readonly string[] = []) =>
    isDeepStrictEqual(declared.get(`causeway_${name}`), { name: `causeway_${name}`, kind, help, labels })
      ? registry.getSingleMetric(`causeway_${name}`)
      : undefined
  const metrics: MetricsRegistry = {
    counter(name, help, labels, collect) {
      const before = collect ? undefined : again('counter', name, help, labels)
      if (before instanceof PromCounter) return counter(before)
      const options = declare('counter', name, help, labels)
      const inner: PromCounter = new PromCounter(
        collect ? { ...options, collect: () => (inner.reset(), collect(counter(inner))) } : options,
      )
      return counter(inner)
    },
    gauge(name, help, labels, collect) {
      const before = collect ? undefined : again('gauge', name, help, labels)
      if (before instanceof PromGauge) return gauge(before)
      const options = declare('gauge', name, help, labels)
      const inner: PromGauge = new PromGauge(
        collect ? { ...options, collect: () => (inner.reset(), collect(gauge(inner))) } : options,
      )
      return gauge(inner)
    },
    histogram: (name, help, buckets, labels) =>
      histogram(new PromHistogram({ ...declare('histogram', name, help, labels), buckets: [...buckets] })),
    expose: () => registry.metrics(),
    contentType: registry.contentType,
    list: () => [...declared.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
  collectDefaultMetrics({ register: registry })
  metrics.gauge('build_info', 'Always 1; the labels say what runs.', ['version', 'node']).set(1, { ...build })
  return metrics
}

function metricName(kind: MetricInfo['kind'], short: string): string {
  const name = `causeway_${short}`
  if (!/^[a-z][a-z0-9_]*$/.test(short)) throw new RangeError(`${name} is no metric name: lower case, digits and _`)
  if (short.startsWith('causeway_')) throw new RangeError(`${name}: the prefix is added here`)
  if ((kind === 'counter') !== short.endsWith('_total'))
    throw new RangeError(`${name}: counters, and only they, end in _total`)
  return name
}

function counter(inner: PromCounter): Counter {
  return { inc: (labels, by = 1) => (labels ? inner.inc({ ...labels }, by) : inner.inc(by)) }
}

function gauge(inner: PromGauge): Gauge {
  return { set: (value, labels) => (labels ? inner.set({ ...labels }, value) : inner.set(value)) }
}

function histogram(inner: PromHistogram): Histogram {
  return { observe: (value, labels) => (labels ? inner.observe({ ...labels }, value) : inner.observe(value)) }
}

/** The reference page of metrics as Markdown. */
export function metricsPage(metrics: readonly MetricInfo[]): string {
  const rows = metrics.map(m => {
    const labels = m.labels.length === 0 ? '' : m.labels.map(label => `\`${label}\``).join(', ')
    return `| \`${m.name}\` | ${m.kind} | ${labels} | ${m.help.replace(/\.?$/, '.')} |`
  })
  return [
    '# Metrics',
    '',
    'Printed from the code. The metrics of the process (`process_*`, `nodejs_*`) are those of prom-client.',
    '',
    '| name | kind | labels | meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}
