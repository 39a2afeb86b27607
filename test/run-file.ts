/**
 * Runs one test file in a process of its own, which cannot outlive its time or this process, and says what came of it. A
 * file passes when its process has said that all tests have ended, none has failed, and it ended with status 0.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { withParent } from '../deploy/lab/command.ts'
import type { FileEvent } from './file-events.ts'

export interface FileRun {
  /** Absolute path. */
  readonly file: string
  readonly cwd: string
  /** For the whole file. */
  readonly timeoutMs: number
  /** For each test and hook that has no bound of its own. */
  readonly testTimeoutMs: number
  /** Runs only tests whose name matches this regular expression. */
  readonly namePattern?: string | undefined
  /** Takes the file's results as TAP (testanything.org, version 13). */
  readonly tap?: string | undefined
  /** Ends the file when aborted, which makes it a failed one. */
  readonly signal: AbortSignal
}

export interface FileResult {
  readonly file: string
  readonly ms: number
  readonly passed: number
  /** What failed: the test's name, and why in as many lines as it takes. */
  readonly failures: readonly Reason[]
  readonly skipped: readonly Reason[]
  /** The end of what the process printed. */
  readonly output: string
}
export interface Reason {
  readonly name: string
  readonly why: string
}

const REPORTER = new URL('file-events.ts', import.meta.url).href
const OUTPUT_LIMIT = 20_000
/** Programs that the tests left behind may hold the process's streams open; what it wrote itself is there by then. */
const DRAIN_MS = 1000

/** Never rejects: what keeps a file from running is its failure. */
export async function runFile(run: FileRun): Promise<FileResult> {
  const started = performance.now()
  const tally = new Tally()
  if (run.signal.aborted) tally.fail('this file', 'was not run: the time of the whole run is over')
  else await runProcess(run, tally)
  return { file: run.file, ms: performance.now() - started, ...tally.result() }
}

async function runProcess(run: FileRun, tally: Tally): Promise<void> {
  const child = startProcess(run)
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const streams = Promise.all([
    readEvents(child.stdio[3] as Readable, event => tally.take(event)),
    readOutput(child.stdout, text => tally.print(text)),
    readOutput(child.stderr, text => tally.print(text)),
  ])
  const time = AbortSignal.timeout(run.timeoutMs)
  const kill = (): boolean => child.kill('SIGKILL')
  const stop = AbortSignal.any([time, run.signal])
  stop.addEventListener('abort', kill)
  try {
    const [status, signal] = await ended
    await Promise.race([streams, delay(DRAIN_MS, undefined, { ref: false })])
    if (run.signal.aborted) tally.fail('this file', `was ended: the time of the whole run is over${tally.unfinished()}`)
    else if (time.aborted) tally.fail('this file', `did not end within ${run.timeoutMs / 1000} s${tally.unfinished()}`)
    else tally.end(status, signal)
  } catch (error) {
    tally.fail('this file', `could not be run: ${String(error)}`)
  } finally {
    stop.removeEventListener('abort', kill)
    for (const stream of child.stdio) stream?.destroy()
  }
}

function startProcess({ file, cwd, testTimeoutMs, namePattern, tap }: FileRun): ChildProcess {
  const name = namePattern === undefined ? [] : [`--test-name-pattern=${namePattern}`]
  const reporter = [`--test-reporter=${REPORTER}`, '--test-reporter-destination=stdout']
  if (tap !== undefined) reporter.push('--test-reporter=tap', `--test-reporter-destination=${tap}`)
  // This process may be a test file itself.
  const own = process.execArgv.filter(option => !option.startsWith('--test-'))
  const args = [...own, ...reporter, `--test-timeout=${testTimeoutMs}`, ...name, file]
  const [command = '', ...rest] = withParent([process.execPath, ...args])
  return spawn(command, rest, { cwd, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
}

async function readEvents(stream: Readable, take: (event: FileEvent) => void): Promise<void> {
  const lines = createInterface({ input: stream })
  lines.on('line', line => take(JSON.parse(line) as FileEvent))
  await once(lines, 'close')
}

async function readOutput(stream: Readable | null, take: (text: string) => void): Promise<void> {
  if (stream === null) return
  stream.setEncoding('utf8').on('data', take)
  await once(stream, 'close')
}

/** What is known of a file so far. */
class Tally {
  readonly #running = new Set<string>()
  readonly #failures: Reason[] = []
  readonly #skipped: Reason[] = []
  #passed = 0
  #finished = false
  #output = ''

  take(event: FileEvent): void {
    if (event.type === 'began') this.#running.add(event.name)
    else if (event.type === 'finished') this.#finished = true
    else {
      const { name, outcome, why } = event
      this.#running.delete(name)
      if (outcome === 'passed') this.#passed++
      else if (outcome === 'failed') this.fail(name, why)
      else if (outcome === 'skipped') this.#skipped.push({ name, why })
    }
  }
  print(text: string): void {
    this.#output = `${this.#output}${text}`.slice(-OUTPUT_LIMIT)
  }
  fail(name: string, why: string): void {
    this.#failures.push({ name, why })
  }

  /** The process has ended by itself. Status 1 is what node:test ends with after a failure that was told. */
  end(status: number | null, signal: NodeJS.Signals | null): void {
    const told = this.#finished && this.#failures.length > 0
    const how = signal === null ? `status ${status}` : signal
    if (!this.#finished) this.fail('this file', `ended (${how}) before its tests did${this.unfinished()}`)
    else if (status !== 0 && !(told && status === 1)) this.fail('this file', `ended with ${how}`)
  }

  /** In words, to be appended: which tests had begun and not ended. */
  unfinished(): string {
    const names = [...this.#running].map(name => `\n  ${name}`)
    return names.length === 0 ? '; no test was running' : `; these were running:${names.join('')}`
  }

  result(): Omit<FileResult, 'file' | 'ms'> {
    return { passed: this.#passed, failures: this.#failures, skipped: this.#skipped, output: this.#output }
  }
}
