/** The verbs that need the daemon. Each returns what goes to standard output; all but ADD answer with nothing. */
import type { Configuration } from './configuration.ts'
import { checkConfiguration, validAttachments } from './configuration.ts'
import { ask, mayReturn, type Question, silenceFailure } from './daemon.ts'
import { enqueueDelete } from './delete-queue.ts'
import type { Environment } from './environment.ts'
import { codes, failure } from './failure.ts'
import type { Host } from './host.ts'
import { type Fields, show } from './json.ts'
import { convertResult, holdsInterface } from './result.ts'
import { readRuntimeConfig } from './runtime-config.ts'
import type { Verb, Version } from './versions.ts'

/** A call that has passed the checks common to all verbs. */
export interface Call {
  readonly host: Host
  readonly fields: Fields
  readonly version: Version
  readonly environment: Environment
  /** When the executable started, on the monotonic clock. */
  readonly startedMs: number
}

/** Time for one exchange. STATUS is asked every few seconds, so it must not pile up. */
const timeoutsMs = { DEL: 30_000, CHECK: 30_000, GC: 60_000, STATUS: 5_000 } as const
const firstPauseMs = 5
const longestPauseMs = 250

export const handlers: Readonly<Record<Exclude<Verb, 'VERSION'>, (call: Call) => string>> = {
  ADD: add,
  DEL: del,
  CHECK: call => {
    const { prevResult } = checkConfiguration(call.fields, 'CHECK')
    if (prevResult === undefined) throw failure(codes.invalidConfiguration, 'prevResult: is missing')
    return askOnce(call, 'CHECK', { ...attachment(call), prevResult }, codes.tryAgainLater)
  },
  GC: call => {
    const list = validAttachments(call.fields)
    return askOnce(call, 'GC', { validAttachments: list }, codes.tryAgainLater)
  },
  STATUS: call => askOnce(call, 'STATUS', {}, codes.notAvailable),
}

/** Waits for the daemon within the time of the configuration; an attachment asked for twice is the same one. */
function add(call: Call): string {
  const { host } = call
  const configuration = checkConfiguration(call.fields, 'ADD')
  const runtimeConfig = readRuntimeConfig(call.fields)
  refuseSecondInterface(configuration.prevResult)
  const question = questionOf(configuration, 'add', { ...attachment(call), runtimeConfig })
  const deadlineMs = call.startedMs + configuration.addTimeoutMs
  let pauseMs = firstPauseMs
  for (let attempts = 1; ; attempts++) {
    const outcome = ask(host, question, deadlineMs - host.monotonicMs())
    if ('answer' in outcome) {
      return JSON.stringify(convertResult(outcome.answer, call.version, configuration.prevResult))
    }
    const leftMs = deadlineMs - host.monotonicMs() - pauseMs
    if (!mayReturn(outcome.silence) || leftMs < 1) {
      const tried = `, tried ${attempts} times within ${configuration.addTimeoutMs} ms (addTimeoutMs)`
      throw silenceFailure(question, outcome.silence, codes.tryAgainLater, tried)
    }
    host.sleep(pauseMs)
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }
}

function refuseSecondInterface(prevResult: Fields | undefined): void {
  if (!holdsInterface(prevResult)) return
  const details = 'causeway makes the interface of the pod and must stand first in the list of plugins'
  throw failure(
    codes.invalidConfiguration,
    `prevResult: already holds an interface: ${show(prevResult?.interfaces)}`,
    details,
  )
}

/**
 * Without a daemon the DEL is kept on disk and has succeeded. A daemon may have read the queue between the attempt and
 * the entry; it listens by then, so it is asked once more, and the entry is taken back when it answers.
 */
function del(call: Call): string {
  const configuration = checkConfiguration(call.fields, 'DEL')
  const question = questionOf(configuration, 'del', attachment(call))
  const first = ask(call.host, question, timeoutsMs.DEL)
  if ('answer' in first) return ''
  const entry = enqueueDelete(call.host, configuration, call.environment)
  if (first.silence.problem === 'ETIMEDOUT') return ''
  try {
    if ('answer' in ask(call.host, question, timeoutsMs.DEL)) call.host.removeFile(entry)
  } catch {
    // The daemon refused; the entry is durable and it will meet it again.
  }
  return ''
}

function askOnce(call: Call, verb: 'CHECK' | 'GC' | 'STATUS', body: Fields, transientCode: number): string {
  const configuration = checkConfiguration(call.fields, verb)
  const name = { CHECK: 'check', GC: 'gc', STATUS: 'status' }[verb] as Question['verb']
  const question = questionOf(configuration, name, body)
  const outcome = ask(call.host, question, timeoutsMs[verb])
  if ('answer' in outcome) return ''
  const error = silenceFailure(question, outcome.silence, transientCode, '')
  throw error
}

function questionOf(configuration: Configuration, verb: Question['verb'], body: Fields): Question {
  return { socket: configuration.socket, verb, body: { network: configuration.name, ...body } }
}

function attachment(call: Call): Fields {
  const { containerId, ifName, netns, args } = call.environment
  return netns === '' ? { containerId, ifName, args } : { containerId, ifName, netns, args }
}
