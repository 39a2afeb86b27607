/** What the daemon counts about pods' interfaces, and the stop-watch that goes from step to step. */
import type { Counter, Gauge, Histogram, Metrics } from '../plugin.ts'
import type { Fault, Step } from './steps.ts'

export type Verb = 'add' | 'del' | 'check' | 'gc' | 'status'

export interface EndpointMetrics {
  readonly total: Histogram
  readonly step: Histogram
  readonly inFlight: Gauge
  readonly errors: Counter
  readonly found: Counter
  readonly stuck: Gauge
}

const BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 60]

export function endpointMetrics(metrics: Metrics): EndpointMetrics {
  return {
    total: metrics.histogram('cni_request_seconds', 'Duration of CNI requests.', BUCKETS, ['verb', 'result']),
    step: metrics.histogram('endpoint_step_seconds', 'Duration of each step of ADD and DEL.', BUCKETS, ['step']),
    inFlight: metrics.gauge('cni_requests_in_flight', 'CNI requests being served or waiting.', ['verb']),
    errors: metrics.counter('cni_errors_total', 'Failed CNI requests by stable error code.', ['verb', 'code']),
    found: metrics.counter('endpoint_repairs_total', 'What was found otherwise than it was left.', ['what']),
    stuck: metrics.gauge('device_deletions_stuck', 'Deletions of devices that the kernel does not finish.'),
  }
}

/** Goes through the steps of one operation: measures each and offers each boundary to the fault hook. */
export class Progress {
  readonly #histogram: Histogram
  readonly #fault: Fault
  #last = performance.now()

  constructor(histogram: Histogram, fault: Fault) {
    this.#histogram = histogram
    this.#fault = fault
  }

  /** The step is done. */
  passed(step: Step): void {
    const now = performance.now()
    this.#histogram.observe((now - this.#last) / 1000, { step })
    this.#last = now
    this.#fault(step)
  }
}
