/** Follows the file of ip-masq-agent: what it says last and without mistake holds. */
import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Prefix } from '../../daemon/kernel/kernel.ts'
import type { Host, Problem } from '../../daemon/plugin.ts'
import { AGENT_DEFAULTS, type AgentConfig, AgentConfigError, parseAgentConfig } from './agent-config.ts'

export interface AgentFileOptions {
  readonly path: string
  readonly host: Pick<Host, 'log' | 'metrics'>
  /** Called with the ranges of each version of the file that can be read, and with the defaults while there is none. */
  readonly apply: (ranges: readonly Prefix[]) => void
}

/** Editors and kubelet change a file in several steps. */
const SETTLE_MS = 50

export class AgentFile {
  readonly #options: AgentFileOptions
  readonly #valid: { set(value: number): void }
  /** What was applied last: undefined for a missing file, null for nothing yet. */
  #text: string | undefined | null = null
  #config: AgentConfig = AGENT_DEFAULTS
  #problem: Problem | undefined

  constructor(options: AgentFileOptions) {
    this.#options = options
    this.#valid = options.host.metrics.gauge(
      'masquerade_agent_file_valid',
      '1 while the ranges in use are those of the file of ip-masq-agent, 0 while the file has a mistake.',
    )
  }

  problems(): readonly Problem[] {
    return this.#problem === undefined ? [] : [this.#problem]
  }

  /** Looks at the file now, at each change of its directory and at each resync, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const changed = changeOf(dirname(this.#options.path), this.#config.resyncMs, signal)
      await this.read()
      await changed
    }
  }

  /** Looks at the file once. What cannot be read changes nothing but for the problem that is told. */
  async read(): Promise<void> {
    const { path, host, apply } = this.#options
    try {
      const text = await readFile(path, 'utf8').catch(absent)
      if (text === this.#text && this.#problem === undefined) return
      const config = text === undefined ? AGENT_DEFAULTS : parseAgentConfig(text)
      this.#config = config
      this.#text = text
      this.#problem = undefined
      this.#valid.set(1)
      apply(config.ranges)
      const { ranges, ignored } = config
      host.log.info({ path, ranges, ignored }, 'ranges of ip-masq-agent are in use')
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    const { path, host } = this.#options
    const message = error instanceof Error ? error.message : String(error)
    const place = error instanceof AgentConfigError ? `${path}:${error.line}` : path
    if (this.#problem?.message !== message || this.#problem.place !== place)
      host.log.error({ error, path, place }, 'the file of ip-masq-agent has a mistake; what it said before holds')
    this.#problem = { place, message: `${message}; what the file said before holds` }
    this.#valid.set(0)
  }
}

/** A file that is not there. */
function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
  throw error
}

/** Resolves a moment after something changes in a directory, after so long at the latest, or when the signal aborts. */
async function changeOf(directory: string, atMostMs: number, signal: AbortSignal): Promise<void> {
  const noticed = new AbortController()
  const done = AbortSignal.any([noticed.signal, signal])
  const quiet = (): void => {}
  try {
    watch(directory, { signal: done }, () => noticed.abort()).on('error', quiet)
  } catch {
    // A directory that is not there yet is looked at by the clock.
  }
  await delay(atMostMs, undefined, { signal: done }).catch(quiet)
  const seen = noticed.signal.aborted
  noticed.abort()
  if (seen) await delay(SETTLE_MS, undefined, { signal }).catch(quiet)
}
