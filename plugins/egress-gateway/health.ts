/**
 * Whether gateways are there: each is asked several times a second by a connection to a port of its address. One that is
 * refused is as good as one that is taken: the node's stack has answered.
 */
import { connect as connectTcp } from 'node:net'
import type { Address } from '../../daemon/kernel/kernel.ts'
import type { Clock } from '../../daemon/state/clock.ts'
import { Nudge } from '../../daemon/state/nudge.ts'

/** `untested`: no answer is due yet; it counts as there. */
export type Health = 'untested' | 'alive' | 'dead'

export interface HealthOptions {
  readonly clock: Clock
  readonly intervalMs: number
  readonly timeoutMs: number
  /** So many answers in a row make a gateway alive or dead. */
  readonly inRow: number
  /** Resolves to whether the address has answered in time. Never rejects. */
  readonly ask: (address: Address, timeoutMs: number) => Promise<boolean>
}

interface Asked {
  readonly address: Address
  health: Health
  /** Answers in a row, or without one when below 0. */
  row: number
}

export class HealthOfGateways {
  /** Nudged when the health of one changes. */
  readonly changed = new Nudge()
  readonly #options: HealthOptions
  readonly #asked = new Map<string, Asked>()

  constructor(options: HealthOptions) {
    this.#options = options
  }

  /** Asks these nodes from now on, and no others; what is known of one is forgotten when its address changes. */
  ask(addresses: ReadonlyMap<string, Address>): void {
    for (const [node, { address }] of this.#asked) if (addresses.get(node) !== address) this.#asked.delete(node)
    for (const [node, address] of addresses)
      if (!this.#asked.has(node)) this.#asked.set(node, { address, health: 'untested', row: 0 })
  }

  of(node: string): Health {
    return this.#asked.get(node)?.health ?? 'untested'
  }

  get all(): ReadonlyMap<string, Health> {
    return new Map([...this.#asked].map(([node, { health }]) => [node, health]))
  }

  /** Asks until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, intervalMs } = this.#options
    while (!signal.aborted) {
      for (const asked of this.#asked.values()) void this.#ask(asked)
      await pause(clock, intervalMs, signal)
    }
  }

  /** An answer that comes after the next question counts all the same. */
  async #ask(asked: Asked): Promise<void> {
    const { ask, timeoutMs, inRow } = this.#options
    const answered = await ask(asked.address, timeoutMs)
    asked.row = answered ? Math.max(asked.row, 0) + 1 : Math.min(asked.row, 0) - 1
    const health = judged(asked, inRow)
    if (health === asked.health) return
    asked.health = health
    this.changed.nudge()
  }
}

/** The first answer, or that there was none, is all that is known then; later it takes several in a row. */
function judged({ health, row }: Asked, inRow: number): Health {
  if (Math.abs(row) >= inRow || health === 'untested') return row > 0 ? 'alive' : 'dead'
  return health
}

/** Whether somebody at an address answers a connection to a port, be it by refusing it. */
export function askByTcp(address: Address, port: number, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connectTcp({ host: address, port })
  const timer = setTimeout(() => settle(false), timeoutMs)
  const settle = (answered: boolean): void => {
    clearTimeout(timer)
    socket.destroy()
    resolve(answered)
  }
  socket.unref()
  socket.once('connect', () => settle(true))
  socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code === 'ECONNREFUSED'))
  return promise
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(ms, resolve)
  const onAbort = (): void => resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  await promise
  signal.removeEventListener('abort', onAbort)
  cancel()
}
