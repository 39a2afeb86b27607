/** What rows of the dashboard are made of. */

/** One line of a panel: an expression of PromQL, and what its series are called. */
export interface Query {
  readonly expr: string
  readonly legend: string
}

export interface Panel {
  readonly title: string
  readonly about: string
  readonly kind: 'stat' | 'timeseries'
  /** Grafana's name of the unit. */
  readonly unit: string
  readonly queries: readonly Query[]
}

export interface Row {
  readonly title: string
  readonly panels: readonly Panel[]
}

/** Every daemon of the chosen nodes. */
export const NODES = 'node=~"$node"'
/** As Grafana chooses it for the width of a panel. */
export const RATE = '[$__rate_interval]'

export function panel(
  title: string,
  about: string,
  unit: string,
  ...queries: readonly (readonly [string, string])[]
): Panel {
  return { title, about, unit, kind: 'timeseries', queries: queries.map(([expr, legend]) => ({ expr, legend })) }
}

export function stat(title: string, about: string, ...queries: readonly (readonly [string, string])[]): Panel {
  return { ...panel(title, about, 'short', ...queries), kind: 'stat' }
}
