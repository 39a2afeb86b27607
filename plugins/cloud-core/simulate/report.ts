/** What a scenario has shown, as figures and as a table. Pure. */
import { type ApiCalls, type Outcome, quantile, type Scenario } from './scenario.ts'

export interface Figures {
  readonly algorithm: string
  /** Milliseconds; null where some pod never had an address. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly lastMs: number | null
  readonly unserved: number
  readonly changes: number
  readonly reads: number
  readonly throttled: number
  readonly calls: readonly ApiCalls[]
  readonly held: Outcome['held']
}

export interface SimulationReport {
  readonly scenario: Pick<Scenario, 'seed' | 'nodes' | 'pods' | 'withinMs' | 'prefixes'>
  readonly figures: readonly Figures[]
}

export function reportOf(scenario: Scenario, outcomes: readonly Outcome[]): SimulationReport {
  const { seed, nodes, pods, withinMs, prefixes } = scenario
  return { scenario: { seed, nodes, pods, withinMs, prefixes }, figures: outcomes.map(figuresOf) }
}

function figuresOf(outcome: Outcome): Figures {
  const { algorithm, unserved, calls, held } = outcome
  const of = (share: number): number | null => {
    const ms = quantile(outcome, share)
    return ms === Infinity ? null : ms
  }
  const reads = sum(calls.filter(isRead))
  return {
    algorithm,
    p50Ms: of(0.5),
    p99Ms: of(0.99),
    lastMs: of(1),
    unserved,
    changes: sum(calls) - reads,
    reads,
    throttled: calls.reduce((total, call) => total + call.throttled, 0),
    calls,
    held,
  }
}

function isRead({ api }: ApiCalls): boolean {
  return /^(Describe|Get|List)/.test(api)
}

function sum(calls: readonly ApiCalls[]): number {
  return calls.reduce((total, call) => total + call.calls, 0)
}
