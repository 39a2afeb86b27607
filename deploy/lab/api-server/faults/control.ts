/** What the administrator asks of the server itself, over HTTP: faults, counters, forgetting and going away. */
import { type User } from '../access/users.ts'
import { MASTERS } from '../access/users.ts'
import { type Answer, jsonAnswer } from '../call.ts'
import type { Counts } from '../counters.ts'
import type { Json, JsonObject } from '../objects/json.ts'
import { isObject, textAt } from '../objects/json.ts'
import { badRequest, forbidden, noSuchPath } from '../status.ts'
import { type FaultOptions, readFault } from './fault.ts'
import type { SetFault } from './faults.ts'

/** What can be asked; the server is one. Durations in milliseconds. */
export interface Control {
  readonly addFault: (options: FaultOptions) => SetFault
  readonly removeFault: (id: number) => boolean
  readonly clearFaults: () => void
  readonly faults: () => SetFault[]
  readonly counters: () => Counts
  readonly resetCounters: () => void
  /** Forgets all history, so that older versions are answered with 410. */
  readonly forget: () => void
  /** Refuses connections for a time, having ended those there are. */
  readonly downFor: (ms: number) => void
  /** Accepts connections for a time without ever answering; `cuts` ends those there are. */
  readonly halfOpenFor: (ms: number, cuts: boolean) => void
  /** Ends every connection. */
  readonly cutConnections: () => void
}

/** The answer to a path of these; undefined when it is none of them. @throws ApiError */
export function answerControl(
  control: Control,
  user: User,
  method: string,
  path: string,
  body: Buffer,
): Answer | undefined {
  const [, root, id] = path.split('/')
  if (root !== 'faults' && root !== 'counters') return undefined
  if (!user.groups.includes(MASTERS))
    throw forbidden({ group: '', plural: '' }, '', `User "${user.name}" cannot ${method.toLowerCase()} path "${path}"`)
  if (root === 'counters') return counters(control, method)
  switch (method) {
    case 'GET':
      return jsonAnswer(200, control.faults().map(shown))
    case 'POST':
      return post(control, parse(body))
    case 'DELETE':
      if (id === undefined || id === '') control.clearFaults()
      else if (!control.removeFault(Number(id))) throw noSuchPath()
      return jsonAnswer(200, {})
    default:
      throw noSuchPath()
  }
}

function counters(control: Control, method: string): Answer {
  if (method === 'DELETE') control.resetCounters()
  return jsonAnswer(200, control.counters())
}

/** One fault, or one of the events `forget`, `down`, `half-open` and `cut-connections`. */
function post(control: Control, value: Json): Answer {
  const kind = textAt(value, 'kind')
  const ms = isObject(value) ? value['forMs'] : undefined
  switch (kind) {
    case 'forget':
      control.forget()
      return jsonAnswer(201, { kind })
    case 'cut-connections':
      later(control.cutConnections)
      return jsonAnswer(201, { kind })
    case 'down':
    case 'half-open': {
      if (typeof ms !== 'number' || ms <= 0) throw badRequest('forMs must say for how long, since nobody could end it')
      const cuts = isObject(value) && value['cut'] === true
      later(() => (kind === 'down' ? control.downFor(ms) : control.halfOpenFor(ms, cuts)))
      return jsonAnswer(201, { kind, forMs: ms })
    }
    default:
      return jsonAnswer(201, shown(control.addFault(readFault(value))))
  }
}

/** When the answer has gone out. */
function later(action: () => void): void {
  setTimeout(action, 20)
}

function shown({ id, options, remaining, met }: SetFault): JsonObject {
  return { id, ...options, ...(remaining === Infinity ? {} : { remaining }), met }
}

function parse(body: Buffer): Json {
  try {
    return JSON.parse(body.toString()) as Json
  } catch (error) {
    throw badRequest(error instanceof Error ? error.message : String(error))
  }
}
