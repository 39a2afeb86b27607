/**
 * The programs in use. A set takes another's place whole: loaded, pinned, attached, and only then is the old one let go.
 * One change at a time, for the planner and conntrack ask for them independently. A set that is refused changes nothing;
 * where attaching fails, the old set is attached again.
 */
import type { Logger } from '../plugin.ts'
import type { ProgramConstants } from './constants.ts'
import type { DeviceHook } from './device-hooks.ts'
import type { ProgramSet } from './program-set.ts'

/** What the programs are to be like and where they belong, on uplinks and the overlay. */
export interface ProgramPlan {
  readonly constants: ProgramConstants
  readonly hooks: readonly DeviceHook[]
}

export type InUse = Pick<ProgramSet, 'capacity' | 'programFd' | 'pin' | 'catchUp'> & Disposable

/** Entries that maps are to have room for, by name. */
export type Sizes = Readonly<Record<string, number>>

export interface ProgramsOptions<S extends InUse> {
  readonly load: (constants: ProgramConstants, sizes: Sizes) => Promise<S>
  readonly attachPods: (set: S) => void
  readonly attachDevices: (set: S, hooks: readonly DeviceHook[]) => Promise<void>
  readonly log: Logger
}

export class Programs<S extends InUse> implements AsyncDisposable {
  readonly #options: ProgramsOptions<S>
  #current: S
  #plan: ProgramPlan
  /** What the current set was loaded for. */
  #constants: ProgramConstants
  #sizes: Sizes
  /** Every hook runs the current set, and nothing is left to carry over from the one before. */
  #settled = false
  #last: Promise<unknown> = Promise.resolve()

  /** Loads and attaches the first set, over what a former daemon left. Throws what loading or attaching throws. */
  static async start<S extends InUse>(
    options: ProgramsOptions<S>,
    plan: ProgramPlan,
    sizes: Sizes,
  ): Promise<Programs<S>> {
    const programs = new Programs(options, { plan, sizes }, await options.load(plan.constants, sizes))
    try {
      await programs.#settle()
    } catch (error) {
      programs.current[Symbol.dispose]()
      throw error
    }
    return programs
  }

  private constructor(
    options: ProgramsOptions<S>,
    { plan, sizes }: { readonly plan: ProgramPlan; readonly sizes: Sizes },
    first: S,
  ) {
    this.#options = options
    this.#plan = plan
    this.#sizes = sizes
    this.#constants = plan.constants
    this.#current = first
  }

  /** Valid until the next replacement: ask each time. */
  get current(): S {
    return this.#current
  }

  /** Brings programs and devices to a plan, and puts back what somebody has taken away. */
  async follow(plan: ProgramPlan): Promise<void> {
    await this.#inTurn(async () => {
      this.#plan = plan
      if (!sameConstants(plan.constants, this.#constants)) await this.#replace(this.#sizes)
      else if (this.#settled) await this.#attachAgain()
      else await this.#settle()
    })
  }

  /** Gives maps room for so many entries; where there is room for as many nothing changes. */
  async grow(sizes: Sizes): Promise<void> {
    await this.#inTurn(async () => {
      const grown = Object.entries(sizes).filter(([map, size]) => size > this.#current.capacity(map))
      if (grown.length > 0) await this.#replace({ ...this.#sizes, ...Object.fromEntries(grown) })
    })
  }

  /** Works on a set that is not replaced meanwhile. */
  async use<T>(work: (set: S) => Promise<T>): Promise<T> {
    return await this.#inTurn(() => work(this.#current))
  }

  /** Closes descriptors once the change that is under way has ended; everything attached and pinned goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inTurn(() => Promise.resolve(this.#current[Symbol.dispose]()))
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(change)
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #replace(sizes: Sizes): Promise<void> {
    const { constants } = this.#plan
    const next = await this.#options.load(constants, sizes)
    const old = this.#current
    try {
      await this.#attach(next)
    } catch (error) {
      await this.#goBack(error)
      next[Symbol.dispose]()
      throw error
    }
    this.#current = next
    this.#constants = constants
    this.#sizes = sizes
    old[Symbol.dispose]()
    await this.#finish()
    this.#options.log.info({ sizes }, 'programs were replaced')
  }

  /** Where somebody has taken the set away it is back; elsewhere nothing changes. */
  async #attachAgain(): Promise<void> {
    this.#options.attachPods(this.#current)
    await this.#options.attachDevices(this.#current, this.#plan.hooks)
  }

  /** Some hooks may run the new set by now. What cannot go back either, as to a device that is gone, is tried again. */
  async #goBack(cause: unknown): Promise<void> {
    try {
      await this.#settle()
      this.#options.log.warn({ error: cause }, 'new programs could not be attached; the old ones are in place')
    } catch (error) {
      this.#options.log.warn({ error }, 'the old programs could not be attached everywhere')
    }
  }

  /** Puts the current set in place, whatever is attached. */
  async #settle(): Promise<void> {
    await this.#attach(this.#current)
    await this.#finish()
  }

  async #attach(set: S): Promise<void> {
    this.#settled = false
    await set.pin()
    this.#options.attachPods(set)
    await this.#options.attachDevices(set, this.#plan.hooks)
  }

  async #finish(): Promise<void> {
    const { copied, lost } = await this.#current.catchUp()
    this.#settled = true
    if (lost > 0) this.#options.log.warn({ copied, lost }, 'entries of replaced maps found no room')
  }
}

function sameConstants(a: ProgramConstants, b: ProgramConstants): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].every(name => a[name] === b[name])
}
