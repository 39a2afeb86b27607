/** The faults that are set. */
import { type FaultKind, type FaultOptions, meets, type Target } from './fault.ts'

/** A fault that is set. */
export interface SetFault {
  readonly id: number
  readonly options: FaultOptions
  /** How often it will still happen. */
  remaining: number
  /** How often it has happened. */
  met: number
}

export class Faults {
  readonly #set = new Map<number, SetFault>()
  #next = 1

  add(options: FaultOptions): SetFault {
    const fault = { id: this.#next++, options, remaining: options.count ?? Infinity, met: 0 }
    this.#set.set(fault.id, fault)
    return fault
  }

  remove(id: number): boolean {
    return this.#set.delete(id)
  }

  clear(): void {
    this.#set.clear()
  }

  all(): SetFault[] {
    return [...this.#set.values()]
  }

  /** Lets the first fault of a kind that meets a request happen; undefined when there is none. */
  take(kind: FaultKind, target: Target): FaultOptions | undefined {
    const fault = this.all().find(f => f.options.kind === kind && this.meets(f, target))
    if (fault === undefined) return undefined
    this.happen(fault)
    return fault.options
  }

  meets(fault: SetFault, target: Target): boolean {
    return fault.remaining > 0 && meets(fault.options, target)
  }

  happen(fault: SetFault): void {
    fault.remaining--
    fault.met++
    // A fault that is over stays listed, so that a test can read how often it met somebody.
  }
}
