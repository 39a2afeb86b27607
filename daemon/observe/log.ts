/** Structured logs: one JSON object a line on stderr, written before the call returns, so that a crash loses nothing. */
import { type DestinationStream, destination, type Logger as Pino, pino, stdTimeFunctions } from 'pino'
import type { Logger } from '../plugin.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A logger that can make others for the parts below it. */
export interface RootLogger extends Logger {
  /** A logger whose lines carry `part`; names of nested parts are joined by a slash. */
  child(part: string): RootLogger
}

/** Builds the daemon's logger. Errors under the key `error` are written with code, stack and causes. */
export function createLogger(level: LogLevel, out?: DestinationStream): RootLogger {
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    messageKey: 'message',
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: describeError },
  }
  const root = pino(options, out ?? destination({ fd: 2, sync: true }))
  return wrap(root, root, '')
}

/** An error as log lines show it, its causes and what it gathers below it. */
export function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  // `using`: what went wrong first, and what went wrong while that was undone.
  const both = error instanceof SuppressedError ? { suppressed: error.suppressed, error: error.error } : {}
  const gathered = error instanceof AggregateError ? { errors: error.errors.map(describeError) } : {}
  const code = (error as { code?: unknown }).code
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
    ...Object.fromEntries(Object.entries(both).map(([name, inner]) => [name, describeError(inner)])),
    ...gathered,
  }
}

/** Children are always made from the root: bindings of a child's child would repeat the key. */
function wrap(root: Pino, log: Pino, path: string): RootLogger {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    child(part) {
      const nested = path === '' ? part : `${path}/${part}`
      return wrap(root, root.child({ part: nested }), nested)
    },
  }
}
