/**
 * A cloud in memory behind the port that the operator calls: promises instead of callbacks, in the time of the clock that the
 * cloud was made with (`new MemoryAws({ timer: clock, random: Math.random, subnets })`).
 */
import type { Call, CallKind, Failure, Limits, Reply } from '../model.ts'
import { type Budget, CloudFailure, type CloudProvider, type Machine, type Sweep } from '../provider.ts'
import type { MemoryCloud } from './cloud.ts'

export class MemoryProvider implements CloudProvider {
  readonly name: CloudProvider['name']
  readonly #cloud: MemoryCloud

  constructor(cloud: MemoryCloud) {
    this.#cloud = cloud
    this.name = cloud.name
  }

  budget(kind: CallKind | 'sweep'): Budget {
    return this.#cloud.budgets[kind]
  }

  limits({ id }: Machine, signal: AbortSignal): Promise<Limits> {
    return answered(signal, done => {
      const machine = this.#cloud.machines.get(id)
      done(machine?.limits ?? { kind: 'gone', message: `${id} is not there` })
    })
  }

  call({ id }: Machine, call: Call, signal: AbortSignal): Promise<Reply> {
    return answered(signal, done => this.#cloud.call(id, call, done))
  }

  async sweep(machines: readonly Machine[], signal: AbortSignal): Promise<Sweep> {
    const { nics, subnets } = await answered<Sweep>(signal, done => this.#cloud.sweep(done))
    const own = new Set(machines.map(({ id }) => id))
    return { nics: nics.filter(({ token, machine }) => token !== '' || own.has(machine)), subnets }
  }
}

/** Rejects with CloudFailure; a call that is given up may be carried out nevertheless. */
function answered<T extends object>(
  signal: AbortSignal,
  ask: (done: (answer: T | Failure) => void) => void,
): Promise<T> {
  if (signal.aborted) return Promise.reject(new CloudFailure('unreachable', 'not called: given up before'))
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(new CloudFailure('ambiguous', 'given up without an answer'))
    signal.addEventListener('abort', giveUp, { once: true })
    ask(answer => {
      signal.removeEventListener('abort', giveUp)
      if (isFailure(answer)) {
        const { kind, message, retryAfterMs = 0 } = answer
        reject(new CloudFailure(kind, message, { retryAfterMs }))
      } else resolve(answer)
    })
  })
}

function isFailure(answer: object): answer is Failure {
  return 'kind' in answer && 'message' in answer
}
