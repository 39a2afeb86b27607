/** `npm run bench`: runs benches by name and prints what they found, as a table or as one JSON object a line. */
import { parseArgs } from 'node:util'
import { warmThreadPool } from '../../daemon/kernel/netns/thread-pool.ts'
import type { Bench, BenchContext, Result } from './bench.ts'
import { benches, type Choice, chooseBenches } from './benches.ts'

const usage = (): string =>
  [
    'usage: npm run bench -- [NAME…] [--test-run] [--json] [--rounds N]',
    '',
    ...benches.map(b => `  ${b.name.padEnd(22)} ${b.summary}`),
  ].join('\n')

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      'test-run': { type: 'boolean', default: false },
      rounds: { type: 'string', default: '11' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) {
    console.log(usage())
    return 0
  }
  const rounds = Number(values.rounds)
  const chosen = choose({ names: positionals, testRun: values['test-run'] }, rounds)
  if (typeof chosen === 'string') {
    console.error(`${chosen}\n${usage()}`)
    return 2
  }
  const stop = new AbortController()
  // A second one finds the clean-up under way and changes nothing.
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => stop.abort(new Error(`interrupted by ${name}`)))
  // Before anything enters another namespace: threads born meanwhile would stay there.
  await warmThreadPool()
  let missed = 0
  for (const bench of chosen) {
    for await (const result of bench.run(contextFor(bench, rounds, stop.signal))) {
      console.log(values.json ? JSON.stringify(result) : line(result))
      if (result.ok === false) missed++
    }
  }
  return missed === 0 ? 0 : 1
}

/** The benches to run, or what is wrong with the command line. */
function choose(choice: Choice, rounds: number): readonly Bench[] | string {
  if (!Number.isInteger(rounds) || rounds < 1) return '--rounds takes a positive number'
  try {
    return chooseBenches(benches, choice)
  } catch (error) {
    if (error instanceof RangeError) return error.message
    throw error
  }
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
    r.bench.padEnd(22),
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
