/**
 * A reporter of node:test for a process that runs one test file: what happened, one JSON object a line on descriptor 3.
 * Nothing is buffered: a process that dies has told what its event loop had come to.
 */
import { writeSync } from 'node:fs'
import { Transform } from 'node:stream'
import { inspect } from 'node:util'

export type FileEvent =
  | { readonly type: 'began'; readonly name: string }
  | { readonly type: 'ended'; readonly name: string; readonly outcome: Outcome; readonly why: string }
  /** All tests have ended; a process that ends without having said so did not get that far. */
  | { readonly type: 'finished' }

/** `group`: a suite, or a test that failed only because tests within it did; these are counted by themselves. */
export type Outcome = 'passed' | 'failed' | 'skipped' | 'group'

/** The parts of node:test's events that are read here; Node's documentation of `TestsStream` describes them. */
interface Source {
  readonly type: string
  readonly data: { readonly name: string; readonly line?: number; readonly file?: string } & Partial<Ended>
}
interface Ended {
  readonly details: { readonly type?: string; readonly error?: { cause?: unknown; failureType?: string } }
  readonly skip: string | boolean
  readonly todo: string | boolean
}

const EVENTS = 3

// oxlint-disable-next-line import/no-default-export -- node:test takes a reporter from nowhere else.
export default new Transform({
  writableObjectMode: true,
  transform(event: Source, _encoding, done) {
    const line = translate(event)
    if (line !== undefined) writeSync(EVENTS, `${JSON.stringify(line)}\n`)
    done()
  },
})

function translate({ type, data }: Source): FileEvent | undefined {
  switch (type) {
    case 'test:dequeue':
      return { type: 'began', name: nameOf(data) }
    case 'test:complete':
      return { type: 'ended', name: nameOf(data), ...outcomeOf(data) }
    case 'test:fail': // Only here does a failed hook of the file itself appear, and the process ends with status 0.
      return data.name === data.file ? { type: 'ended', ...outcomeOf(data), name: 'a hook of this file' } : undefined
    case 'test:summary':
      return { type: 'finished' }
    default:
      return undefined
  }
}

function nameOf({ name, line }: Source['data']): string {
  return line === undefined ? name : `${name} (line ${line})`
}

function outcomeOf({ details, skip, todo }: Source['data']): { readonly outcome: Outcome; readonly why: string } {
  const reason = skip ?? todo
  if (reason !== undefined && reason !== false) return { outcome: 'skipped', why: reason === true ? '' : `${reason}` }
  const error = details?.error
  if (error?.failureType === 'subtestsFailed') return { outcome: 'group', why: '' }
  if (error !== undefined) {
    const cause = error.cause ?? error
    return { outcome: 'failed', why: typeof cause === 'string' ? cause : inspect(cause, { depth: 6 }) }
  }
  return { outcome: details?.type === 'suite' ? 'group' : 'passed', why: '' }
}
