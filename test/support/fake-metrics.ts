/** Metrics kept in memory, read back by name and labels. */
import type { Counter, Gauge, Histogram, Metrics } from '../../daemon/plugin.ts'

type Labels = Readonly<Record<string, string>>

export class FakeMetrics implements Metrics {
  readonly #values = new Map<string, number>()
  readonly #collectors: (() => void)[] = []

  counter(name: string): Counter {
    return { inc: (labels, by = 1) => this.#values.set(at(name, labels), this.value(name, labels) + by) }
  }
  gauge(name: string, _help: string, _labels?: readonly string[], collect?: (gauge: Gauge) => void): Gauge {
    const gauge: Gauge = { set: (value, labels) => this.#values.set(at(name, labels), value) }
    if (collect)
      this.#collectors.push(() => {
        collect(gauge)
      })
    return gauge
  }
  histogram(name: string): Histogram {
    return { observe: (_value, labels) => this.#values.set(at(name, labels), this.value(name, labels) + 1) }
  }

  /** Value of a counter or gauge, number of observations of a histogram; 0 when nothing was recorded. */
  value(name: string, labels?: Labels): number {
    return this.#values.get(at(name, labels)) ?? 0
  }
  /** Every series as `name{label="value"} number`, sorted. */
  text(): string {
    for (const collect of this.#collectors) collect()
    return [...this.#values]
      .map(([series, value]) => `${series} ${value}`)
      .sort()
      .join('\n')
  }
}

function at(name: string, labels: Labels = {}): string {
  const texts = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return texts.length === 0 ? name : `${name}{${texts.join(',')}}`
}
