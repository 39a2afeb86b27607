/** `npm run bench`: runs benches by name and prints what they found, as a table or as one JSON object a line. */
import { parseArgs } from 'node:util'
import type { Bench, BenchContext, Result } from './bench.ts'

/** All benches, in the order they run. */
const benches: readonly Bench[] = []

const usage = (): string =>
  [
    'usage: npm run bench -- [NAME…] [--json] [--rounds N]',
    '',
    ...benches.map(b => `  ${b.name.padEnd(12)} ${b.summary}`),
  ].join('\n')

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '11' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) {
    console.log(usage())
    return 0
  }
  const unknown = positionals.filter(p => !benches.some(b => b.name === p))
  const rounds = Number(values.rounds)
  if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
    console.error(
      unknown.length > 0 ? `no bench named ${unknown.join(', ')}` : `--rounds: ${values.rounds} is no positive number`,
    )
    console.error(usage())
    return 2
  }
  const chosen = positionals.length === 0 ? benches : benches.filter(b => positionals.includes(b.name))
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort(new Error('interrupted')))
  let missed = 0
  for (const bench of chosen) {
    for await (const result of bench.run(contextFor(bench, rounds, stop.signal))) {
      console.log(values.json ? JSON.stringify(result) : line(result))
      if (result.ok === false) missed++
    }
  }
  return missed === 0 ? 0 : 1
}

function contextFor(bench: Bench, rounds: number, signal: AbortSignal): BenchContext {
  const say = (text: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${bench.name}: ${text}\r`)
  }
  return { rounds, signal, say }
}

function line(r: Result): string {
  const verdict = r.ok === undefined ? '' : r.ok ? 'ok' : 'MISSED'
  const peer = r.peer === undefined ? '' : `${r.peer} ${figure(r.peerValue)}`
  const [low, high] = r.quartiles ?? []
  const ratio =
    r.ratio === undefined ? '' : `× ${figure(r.ratio)}${low === undefined ? '' : ` (${figure(low)}–${figure(high)})`}`
  const columns = [
    r.bench.padEnd(12),
    r.case.padEnd(34),
    `${figure(r.ours)} ${r.unit}`.padStart(14),
    peer.padEnd(26),
    ratio.padEnd(22),
  ]
  return `${columns.join(' ')} ${(r.target ?? '').padEnd(12)} ${verdict}`.trimEnd()
}

function figure(value: number | undefined): string {
  return value === undefined ? '–' : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(3)
}

process.exitCode = await main()
