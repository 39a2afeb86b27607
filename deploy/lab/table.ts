/** Results of the matrix for people and for programs. */
import type { RowResult } from './check.ts'
import { flowText, type SeenFlow } from './flows.ts'
import type { LoadRow } from './load.ts'

const LOAD_WIDTHS = { event: 56, client: 14, from: 8, answered: 9, seconds: 8 }
const WIDTHS = { way: 34, ends: 25, protocol: 5, family: 5, size: 6, time: 10 }

export function heading(): string {
  const { way, ends, protocol, family, size, time } = WIDTHS
  const columns = ['way'.padEnd(way), 'from → to'.padEnd(ends), ''.padEnd(protocol), ''.padEnd(family)]
  return `   ${[...columns, 'bytes'.padStart(size), 'time'.padStart(time), ' flow records'].join(' ')}`
}

/** One line; a row that does not hold is followed by what was seen. */
export function line(result: RowResult): string {
  const { row, ok, ms, error, flows } = result
  const columns = [
    row.way.padEnd(WIDTHS.way),
    `${row.from.name} → ${row.to.name}`.padEnd(WIDTHS.ends),
    row.protocol.padEnd(WIDTHS.protocol),
    `IPv${row.family}`.padEnd(WIDTHS.family),
    size(row.bytes).padStart(WIDTHS.size),
    (row.reaches ? `${ms.toFixed(2)} ms` : ok ? 'unreached' : error === '' ? 'arrived' : '?').padStart(WIDTHS.time),
  ]
  const text = `${ok ? '✔' : '✖'}  ${columns.join(' ')}  ${summary(flows)}`.trimEnd()
  return ok
    ? text
    : [text, `     ${error || 'it arrived and must not'}`, ...flows.map(f => `     ${flowText(f)}`)].join('\n')
}

/** One object a row, for `--json`. */
export function jsonLine({ row, ok, ms, error, port, flows }: RowResult): string {
  const { way, from, to, source, address, family, protocol, bytes, reaches } = row
  const what = { way, from: from.name, to: to.name, source, address, family, protocol, bytes, reaches }
  return JSON.stringify({ ...what, ok, ms, port, ...(error === '' ? {} : { error }), flows })
}

/** Rows of the load, likewise. */
export function loadHeading(): string {
  const { event, client, from, answered, seconds } = LOAD_WIDTHS
  const columns = ['under load'.padEnd(event), 'client'.padEnd(client), 'from'.padEnd(from)]
  return `   ${[...columns, 'answered'.padStart(answered), 'time'.padStart(seconds)].join(' ')}`
}

export function loadLine({ event, client, from, answered, seconds, ok, error }: LoadRow): string {
  const columns = [
    event.padEnd(LOAD_WIDTHS.event),
    client.padEnd(LOAD_WIDTHS.client),
    from.padEnd(LOAD_WIDTHS.from),
    `${answered}`.padStart(LOAD_WIDTHS.answered),
    `${seconds.toFixed(1)} s`.padStart(LOAD_WIDTHS.seconds),
  ]
  const text = `${ok ? '✔' : '✖'}  ${columns.join(' ')}`
  return ok ? text : `${text}\n     ${error}`
}

function summary(flows: readonly SeenFlow[]): string {
  const drops = flows.filter(f => f.record.verdict === 'dropped').length
  const rest = flows.length - drops
  return [rest > 0 ? `${rest}` : '', drops > 0 ? `${drops} dropped` : ''].filter(t => t !== '').join(', ')
}

function size(bytes: number): string {
  if (bytes >= 1_000_000) return `${bytes / 1_000_000} MB`
  return bytes >= 1000 ? `${bytes / 1000} kB` : `${bytes} B`
}
