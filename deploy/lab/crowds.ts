/** Many connections of one client, by a program of their own (`crowd.ts`). */
import { join } from 'node:path'
import { Talker } from './talker.ts'

/** `hold` opens so many and keeps each busy, `dial` opens one after the other, so many at a time. */
export type CrowdKind = 'hold' | 'dial'

/** What `crowd.ts` saw. */
export interface CrowdResult {
  /** Connections that stood. */
  readonly opened: number
  /** Exchanges that were answered. */
  readonly answered: number
  /** Why others were not, each reason once. */
  readonly failures: readonly string[]
}

/** To be run where the client is. */
export function crowdCommand(kind: CrowdKind, count: number, address: string, port: number): readonly string[] {
  return [process.execPath, join(import.meta.dirname, 'crowd.ts'), kind, `${count}`, address, `${port}`]
}

export class Crowd {
  /** Once all stand, or have failed to; of `dial`, once the first is over. Rejects when its program ends before. */
  readonly begun: Promise<void>
  readonly #talker: Talker

  constructor(command: readonly string[]) {
    this.#talker = new Talker(command)
    this.begun = this.#talker.first.then(line => {
      if (line !== 'begun') throw new Error(`no crowd: ${line}`)
    })
  }

  /** When its program is no more. */
  get ended(): Promise<unknown> {
    return this.#talker.last
  }

  /** Ends it after the exchanges under way; what it saw in all its time. */
  async stop(): Promise<CrowdResult> {
    this.#talker.end()
    return JSON.parse(await this.#talker.last) as CrowdResult
  }
  kill(): void {
    this.#talker.kill()
  }
}
