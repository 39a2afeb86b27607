/** What can go wrong between an object file and loaded programs, apart from bpf(2) itself. */
import { SystemError } from '../errors.ts'
import { errnoName } from '../sys.ts'
import type { MapInfo } from './map-info.ts'

/** The object file does not fit what was asked of it: a program, map or constant that it lacks, a value out of range. */
export class ObjectError extends Error {
  override readonly name = 'ObjectError'
  readonly code = 'BPF_OBJECT'
  readonly object: string
  constructor(object: string, problem: string) {
    super(`${object}: ${problem}`)
    this.object = object
  }
}

/** libbpf could not open or load an object; `messages` are its own, warnings first to last. */
export class LoadError extends SystemError {
  override readonly name: string = 'LoadError'
  readonly object: string
  readonly messages: readonly string[]
  constructor(attempt: string, object: string, errno: number, messages: readonly string[]) {
    super(`${attempt} ${object}`, errno, errnoName(errno), messages.slice(-3).join('; '))
    this.object = object
    this.messages = messages
  }
}

const LAST_LINES = 12
/** Begins the account that the verifier of Linux 7.2 and newer gives after its log; what led there, at length, follows. */
const ACCOUNT = /^Verification failed/
const HISTORY = /^Causal path/

/** The kernel's verifier refused a program: which one, what it objects to in the message, its whole log in `log`. */
export class VerifierError extends SystemError {
  override readonly name = 'VerifierError'
  readonly object: string
  readonly program: string
  readonly log: string
  /** Where the verifier says what it objects to. */
  readonly lastLines: readonly string[]
  constructor(object: string, program: string, errno: number, log: string) {
    const lastLines = objection(log.trimEnd().split('\n'))
    super(`verifying program ${program} of ${object}`, errno, errnoName(errno))
    this.message += `\n${lastLines.join('\n')}`
    this.object = object
    this.program = program
    this.log = log
    this.lastLines = lastLines
  }
}

/** The end of the log, or of its part before the account, with the account. */
function objection(lines: readonly string[]): string[] {
  const account = lines.findIndex(line => ACCOUNT.test(line))
  if (account < 0) return lines.slice(-LAST_LINES)
  const history = lines.findIndex((line, i) => i > account && HISTORY.test(line))
  const told = lines.slice(Math.max(0, account - LAST_LINES / 2), history < 0 ? lines.length : history)
  return told.filter(line => line !== '')
}

export type MapShape = Pick<MapInfo, 'type' | 'keySize' | 'valueSize' | 'flags'>

/** A map that was to be used again has another shape than the object's: it must be migrated first. */
export class MapMismatch extends Error {
  override readonly name = 'MapMismatch'
  readonly code = 'MAP_MISMATCH'
  readonly map: string
  readonly wanted: MapShape
  readonly found: MapShape
  constructor(object: string, map: string, wanted: MapShape, found: MapShape) {
    super(`map ${map} of ${object} is ${describe(wanted)}, the existing one ${describe(found)}`)
    this.map = map
    this.wanted = wanted
    this.found = found
  }
}

function describe({ type, keySize, valueSize, flags }: MapShape): string {
  return `${type} ${keySize} → ${valueSize} bytes, flags ${flags}`
}
