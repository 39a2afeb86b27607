/**
 * Readiness: named conditions that must all hold. The API answers 503 with the list of those that do not, so that
 * whoever waits sees what it waits for.
 */
import type { Metrics } from '../plugin.ts'

export interface Condition {
  /** Marks the condition as holding. */
  pass(): void
  /** Marks it as not holding, with the reason shown to people. */
  fail(reason: string): void
}

export interface HealthReport {
  readonly ready: boolean
  /** `name` or `name: reason` of each condition that does not hold, in order of declaration. */
  readonly waiting: readonly string[]
}

/** Declares the metric that tells whether a daemon or an operator is ready; asked at each exposition. */
export function exposeHealth(metrics: Pick<Metrics, 'gauge'>, health: Pick<Health, 'report'>): void {
  metrics.gauge('ready', 'Whether everything holds that `/v1/health` asks for: 1 or 0.', [], gauge => {
    gauge.set(health.report().ready ? 1 : 0)
  })
}

/** The daemon is ready while every declared condition holds; none declared means ready. */
export class Health {
  /** Why each condition does not hold; undefined while it does. */
  readonly #conditions = new Map<string, () => string | undefined>()

  /** Declares a condition, not holding yet; declaring a name again replaces it. */
  condition(name: string, reason = ''): Condition {
    let failing: string | undefined = reason
    this.ask(name, () => failing)
    return {
      pass() {
        failing = undefined
      },
      fail(why) {
        failing = why
      },
    }
  }

  /** Declares a condition that is asked at each report: why it does not hold, undefined while it does. */
  ask(name: string, failing: () => string | undefined): void {
    this.#conditions.set(name, failing)
  }

  report(): HealthReport {
    const waiting = [...this.#conditions].flatMap(([name, failing]) => {
      const reason = failing()
      if (reason === undefined) return []
      return [reason === '' ? name : `${name}: ${reason}`]
    })
    return { ready: waiting.length === 0, waiting }
  }
}
