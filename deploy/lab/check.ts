/** Carrying out the matrix: each row is one check of the probe, and what the nodes' daemons recorded of it. */
import type { Family } from '../../daemon/kernel/kernel.ts'
import { type Exchange, FlowWatch, type SeenFlow } from './flows.ts'
import { besideStation, inStation } from './inside.ts'
import type { Answers, Row } from './matrix.ts'
import { Probers } from './probers.ts'
import { familyOf, type Lab } from './state.ts'

export interface RowResult {
  readonly row: Row
  readonly ok: boolean
  /** Of the check itself, without starting the probe. */
  readonly ms: number
  /** Why the check failed, or why an unreachable one was so; empty when it reached. */
  readonly error: string
  /** The sender's; undefined for ICMP. */
  readonly port: number | undefined
  readonly flows: readonly SeenFlow[]
}

/** The probe's own verdict of a row, and what its flow records are known by. */
interface Run extends Exchange {
  readonly row: Row
  readonly ok: boolean
  readonly ms: number
  readonly error: string
  /** Who has answered, each once; of rows that ask for it. */
  readonly answers?: readonly string[]
  /** As whom they saw the sender. */
  readonly clients?: readonly string[]
}

/** How often each of those that may answer is asked: that one of four is missed by chance happens once in 200,000 rows. */
const ASKED_TIMES = 12
/** Where it has to be one: that chance chose the same so often does not happen. */
const ASKED_ONE_TIMES = 16
const TIMEOUT_MS = 4000
/** For what must not arrive, and between addresses where something failed already: long enough, many times over. */
const SHORT_TIMEOUT_MS = 500
const PARALLEL = 4
/** What the probe says of a destination that nothing comes back from. */
const UNREACHABLE = /unreachable|timed out/i

/**
 * Runs all rows and resolves to their results in the same order. Rows between the same two addresses run one after
 * another, because their flow records are told apart by time.
 */
export async function runMatrix(
  lab: Lab,
  rows: readonly Row[],
  probe: string,
  signal: AbortSignal,
): Promise<RowResult[]> {
  using watch = await FlowWatch.start(lab.nodes, signal)
  await using probers = new Probers(probe)
  const runs = new Map<Row, Run>()
  const queues = Object.values(Object.groupBy(rows, r => [r.source ?? '', r.address ?? ''].sort().join(' ')))
  const worker = async (): Promise<void> => {
    for (let queue = queues.shift(); queue !== undefined; queue = queues.shift())
      await runQueue(lab, queue, runs, probers, signal)
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  const flows = await watch.settle([...runs.values()], isRecorded, signal)
  return rows.flatMap(row => {
    const run = runs.get(row)
    return run === undefined ? [] : [judge(run, flows.get(run) ?? [])]
  })
}

/**
 * What a pod takes part in is recorded: its first packet and the reply. Of a service's flows the backend is told, of
 * those that leave the cluster the node's address.
 */
function isRecorded({ row, ok }: Run): boolean {
  return (
    ok && row.to.kind !== 'service' && row.to.kind !== 'outside' && (row.from.kind === 'pod' || row.to.kind === 'pod')
  )
}

async function runQueue(lab: Lab, queue: readonly Row[], runs: Map<Row, Run>, probers: Probers, signal: AbortSignal) {
  let failed = false
  for (const row of queue) {
    const timeoutMs = row.reaches && !failed ? TIMEOUT_MS : SHORT_TIMEOUT_MS
    const run = await runRow(lab, row, timeoutMs, probers, signal)
    failed ||= row.reaches && !run.ok
    runs.set(row, run)
  }
}

async function runRow(lab: Lab, row: Row, timeoutMs: number, probers: Probers, signal: AbortSignal): Promise<Run> {
  const { source = '', address: destination = '', protocol } = row
  if (source === '' || destination === '') {
    const error = `${(source === '' ? row.from : row.to).name} has no IPv${row.family} address`
    return { row, ok: false, ms: 0, port: undefined, error, source, destination, protocol, startedMs: 0, endedMs: 0 }
  }
  const port = protocol === 'icmp' ? [] : [`${row.port}`]
  const what =
    row.answers === undefined ? [protocol, destination, ...port, `${row.bytes}`] : ['who', destination, ...port]
  const times = row.answers === undefined ? [] : [`${timesAsked(row.answers, row.family)}`]
  const check = ['check', ...what, ...times, '--timeout', `${timeoutMs}`]
  const startedMs = Date.now()
  const inPlace = (program: readonly string[]): readonly string[] =>
    row.byPacket ? besideStation(row.from, program) : inStation(lab, row.from, program)
  const line = await probers.ask(inPlace, check, signal)
  return { row, ...readVerdict(line), source, destination, protocol, startedMs, endedMs: Date.now() }
}

/** The probe prints one line; without one it did not run, which is a failure of its own. */
function readVerdict(printed: string): Pick<Run, 'ok' | 'ms' | 'error' | 'port' | 'answers' | 'clients'> {
  try {
    const line = JSON.parse(printed) as Pick<Run, 'ok' | 'ms'> & {
      readonly error?: string
      readonly port?: number
      readonly answers?: readonly string[]
      readonly clients?: readonly string[]
    }
    const { ok, ms, error = '', port, answers, clients } = line
    return { ok, ms, error, port, ...(answers === undefined ? {} : { answers, clients }) }
  } catch {
    return { ok: false, ms: 0, port: undefined, error: 'the probe did not run' }
  }
}

/** What must not arrive must fail for the network's reasons: a probe that could not even run proves nothing. */
function judge(run: Run, flows: readonly SeenFlow[]): RowResult {
  const { row, ok, ms, error, port } = run
  const wrong =
    ok && row.answers !== undefined
      ? (wrongAnswers(row.answers, row.family, run.answers ?? []) ?? wrongClients(row, run.clients ?? []))
      : undefined
  if (wrong !== undefined) return { row, ok: false, ms, error: wrong, port, flows }
  const holds = row.reaches ? ok : !ok && UNREACHABLE.test(error)
  return { row, ok: holds, ms, error, port, flows }
}

function timesAsked({ addresses, one }: Answers, family: Family): number {
  const meant = addresses.filter(address => familyOf(address) === family).length
  // Also where nobody is meant, which must not pass for having heard all.
  return one ? ASKED_ONE_TIMES : ASKED_TIMES * Math.max(1, meant)
}

/** What is wrong about who has answered; undefined when nothing is. */
export function wrongAnswers({ addresses, one }: Answers, family: Family, got: readonly string[]): string | undefined {
  const meant = addresses.filter(address => familyOf(address) === family)
  const others = got.filter(address => !meant.includes(address))
  if (others.length > 0) return `${others.join(', ')} answered, who should not`
  if (one) return got.length === 1 ? undefined : `${got.length} answered instead of one: ${got.join(', ')}`
  const silent = meant.filter(address => !got.includes(address))
  return silent.length > 0 ? `${silent.join(', ')} never answered` : undefined
}

/** The same of as whom the sender was seen. */
function wrongClients({ answers, family }: Row, got: readonly string[]): string | undefined {
  const meant = answers?.seen?.find(address => familyOf(address) === family)
  if (meant === undefined || (got.length === 1 && got[0] === meant)) return undefined
  return `instead of ${meant} was seen ${got.join(', ')}`
}
