/** One column of a table, and the two that most tables have. */
import type { Json, JsonObject } from '../objects/json.ts'
import type { KubeObject } from '../objects/kube-object.ts'

export interface Column {
  readonly definition: JsonObject
  /** `now` in milliseconds since the epoch. */
  readonly cell: (object: KubeObject, now: number) => Json
}

export function column(name: string, type: string, cell: Column['cell'], priority = 0, format = ''): Column {
  return { definition: { name, type, format, description: name, priority }, cell }
}

export const nameColumn: Column = column('Name', 'string', object => object.metadata.name ?? '', 0, 'name')
export const ageColumn: Column = column('Age', 'string', (object, now) => age(object.metadata.creationTimestamp, now))

/** As kubectl shows ages (k8s.io/apimachinery pkg/util/duration HumanDuration). */
export function age(time: string | null | undefined, now: number): string {
  const then = Date.parse(time ?? '')
  if (Number.isNaN(then)) return '<unknown>'
  const seconds = Math.trunc((now - then) / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.trunc(seconds / 60)
  if (minutes < 10) return withRest(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.trunc(minutes / 60)
  if (hours < 8) return withRest(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.trunc(hours / 24)
  if (hours < 192) return withRest(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  const years = Math.trunc(days / 365)
  return years < 8 ? withRest(years, 'y', days % 365, 'd') : `${years}y`
}

function withRest(whole: number, unit: string, rest: number, smaller: string): string {
  return rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${smaller}`
}
