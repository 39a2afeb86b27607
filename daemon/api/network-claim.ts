/**
 * Keeps the runtime to our network: others' configurations are set aside once ours is written, and again when one comes
 * back, as another network's daemon writes its own at every start. Where they are to stay, those that runtimes prefer to
 * ours are told as problems.
 */
import { join } from 'node:path'
import { DirectoryWake, pause } from '../directory-wake.ts'
import { messageOf } from '../errors.ts'
import type { Logger, Problem } from '../plugin.ts'
import { type Clock, systemClock } from '../state/clock.ts'
import { otherConfs, setAside } from './other-confs.ts'

export interface NetworkClaimOptions {
  /** `paths.cniConf`. */
  readonly directory: string
  /** `cni.confName`. */
  readonly own: string
  /** `cni.exclusive`. */
  readonly exclusive: boolean
  readonly log: Logger
  readonly clock?: Clock
  /** Longest time between two looks. */
  readonly lookMs?: number
}

const LOOK_MS = 30_000
/** A file that is being written by others comes with several events. */
const SETTLE_MS = 50
/** Whoever writes a file anew as soon as it is set aside is answered no faster than this after a while. */
const LONGEST_SETTLE_MS = 2000
/** Nobody has written another configuration for so long: there are no longer two networks. */
const REMEMBER_MS = 3_600_000

export class NetworkClaim {
  readonly #options: NetworkClaimOptions
  readonly #clock: Clock
  /** What came back, by name: how many times, and when last. */
  readonly #returned = new Map<string, { readonly times: number; readonly ms: number }>()
  #begun = false
  /** Others have been set aside: what is there later has come back. */
  #claimed = false
  #failure: string | undefined

  constructor(options: NetworkClaimOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Call when our configuration is written. Never throws: what fails is a problem, and tried again. */
  begin(): void {
    this.#look()
    this.#begun = true
  }

  /** Sets aside what comes back, from `begin` until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    using wake = new DirectoryWake(this.#options.directory)
    while (!signal.aborted) {
      wake.watch()
      if (this.#begun) this.#look()
      await wake.wait(this.#options.lookMs ?? LOOK_MS, signal)
      await pause(this.#settleMs(), signal)
    }
  }

  get problems(): readonly Problem[] {
    const { directory, own, exclusive } = this.#options
    if (!this.#begun) return []
    if (!exclusive) return preferred(directory, own)
    return [
      ...[...this.#returning].map(([name, { times }]) => ({ place: join(directory, name), message: cameBack(times) })),
      ...(this.#failure === undefined ? [] : [{ place: directory, message: this.#failure }]),
    ]
  }

  /** Those that came back in the last hour. */
  get #returning(): ReadonlyMap<string, { readonly times: number; readonly ms: number }> {
    const now = this.#clock.now()
    return new Map([...this.#returned].filter(([, { ms }]) => now - ms < REMEMBER_MS))
  }

  #settleMs(): number {
    const most = Math.max(0, ...[...this.#returning.values()].map(({ times }) => times))
    return Math.min(LONGEST_SETTLE_MS, SETTLE_MS * 2 ** Math.max(0, most - 3))
  }

  /** They have come back. */
  #note(names: readonly string[]): void {
    const returning = this.#returning
    for (const name of names)
      this.#returned.set(name, { times: (returning.get(name)?.times ?? 0) + 1, ms: this.#clock.now() })
  }

  #look(): void {
    const { directory, own, exclusive, log } = this.#options
    if (!exclusive) return
    try {
      const names = setAside(directory, own)
      const again = this.#claimed
      this.#claimed = true
      this.#failure = undefined
      if (names.length === 0) return
      if (names.some(name => !this.#returning.has(name)))
        log.warn({ directory, names, again }, 'network configurations of others were set aside')
      if (again) this.#note(names)
    } catch (error) {
      this.#failure = `network configurations of others could not be set aside: ${messageOf(error)}`
    }
  }
}

function cameBack(times: number): string {
  const often = times === 1 ? 'once' : `${times} times`
  return `two CNIs are active: this file came back ${often} and was set aside again; remove the daemon of the other network, which writes it`
}

function preferred(directory: string, own: string): Problem[] {
  return otherConfs(directory, own)
    .filter(name => name < own)
    .map(name => ({
      place: join(directory, name),
      message: `two CNIs are active: runtimes take this file, which comes before ${own}; remove it, let cni.exclusive set it aside, or choose a cni.confName that comes first`,
    }))
}
