/** Asking the daemon: one POST per request, answers told apart by whether the daemon was there to give them. */
import { codes, failure } from './failure.ts'
import type { Exchange, Host } from './host.ts'
import { isObject, member, show } from './json.ts'

/** No answer: why, and how far it came. */
export type Silence = Extract<Exchange, { readonly problem: string }>

export type Outcome = { readonly answer: unknown } | { readonly silence: Silence }

/** Where and with which body; `deadlineMs` is what the daemon is told to end within. */
export interface Question {
  readonly socket: string
  readonly verb: 'add' | 'del' | 'check' | 'gc' | 'status'
  readonly body: Readonly<Record<string, unknown>>
}

/** The daemon ends this much before the executable, so that its own reason arrives; half of what is left when short. */
const reserveMs = 2000

const notThere = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EAGAIN', 'ETIMEDOUT']
const garbled = ['EPROTO', 'EILSEQ', 'EFBIG']

/** One attempt. Throws what the daemon refused with, or code 101 for an answer that cannot be understood. */
export function ask(host: Host, question: Question, timeoutMs: number): Outcome {
  const deadlineMs = Math.max(1, Math.floor(timeoutMs - Math.min(reserveMs, timeoutMs / 2)))
  const body: Record<string, unknown> = { deadlineMs }
  for (const name of Object.keys(question.body)) body[name] = question.body[name]
  const exchange = host.exchange(question.socket, `/v1/cni/${question.verb}`, JSON.stringify(body), timeoutMs)
  if (exchange.problem !== undefined) return { silence: exchange }
  const answer = parse(host, exchange.text)
  if (exchange.status === 200 && isObject(answer)) return { answer }
  throw refusal(exchange.status, exchange.text, answer)
}

/** True when trying again may help: the daemon is not there yet, or went away in the middle. */
export function mayReturn(silence: Silence): boolean {
  return notThere.indexOf(silence.problem) >= 0
}

/** The error for a daemon that gave no answer; `transientCode` where waiting may help, else 5 or 101. */
export function silenceFailure(question: Question, silence: Silence, transientCode: number, tried: string): Error {
  const what = { connect: 'reach', send: 'ask', receive: 'hear' }[silence.stage]
  const details = `${silence.stage} at ${question.socket}: ${silence.problem}${tried}`
  if (garbled.indexOf(silence.problem) >= 0) {
    return failure(codes.badAnswer, `the daemon's answer to ${question.verb} cannot be understood`, details)
  }
  return failure(mayReturn(silence) ? transientCode : codes.io, `cannot ${what} the daemon`, details)
}

function parse(host: Host, text: string): unknown {
  return host.checkJson(text) === '' ? JSON.parse(text) : undefined
}

function refusal(status: number, text: string, answer: unknown): Error {
  const code = isObject(answer) ? member(answer, 'code') : undefined
  const msg = isObject(answer) ? member(answer, 'msg') : undefined
  const details = isObject(answer) ? member(answer, 'details') : undefined
  if (typeof code === 'number' && code >= 1 && code % 1 === 0 && typeof msg === 'string' && status !== 200) {
    return failure(code, msg, typeof details === 'string' ? details : '')
  }
  return failure(codes.badAnswer, `the daemon's answer cannot be understood: HTTP ${status}`, show(text))
}
