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

/** The kernel's verifier refused a program: which one, the end of its log in the message, the whole in `log`. */
export class VerifierError extends SystemError {
  override readonly name = 'VerifierError'
  readonly object: string
  readonly program: string
  readonly log: string
  /** The end of the log, where the verifier says what it objects to. */
  readonly lastLines: readonly string[]
  constructor(object: string, program: string, errno: number, log: string) {
    const lastLines = log.trimEnd().split('\n').slice(-LAST_LINES)
    super(`verifying program ${program} of ${object}`, errno, errnoName(errno))
    this.message += `\n${lastLines.join('\n')}`
    this.object = object
    this.program = program
    this.log = log
    this.lastLines = lastLines
  }
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
