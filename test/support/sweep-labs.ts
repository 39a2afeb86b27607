/** Labs that carry the number of the process that they belong to, and outlived it. */
import { existsSync, readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { labLayout } from '../../deploy/lab/layout.ts'
import { removeLab } from '../../deploy/lab/own.ts'

const SWEEP_TIMEOUT_MS = 60_000

/** Removes labs named by one of these words and the number of a process that has ended, such as `kill4711`. */
export async function sweepLabs(words: readonly string[]): Promise<void> {
  const labs = dirname(labLayout('any').root)
  const names = existsSync(labs) ? readdirSync(labs) : []
  for (const name of names) {
    const [, word = '', pid] = /^([a-z]+)(\d+)$/.exec(name) ?? []
    if (words.includes(word) && !existsSync(`/proc/${pid}`))
      await removeLab(name, AbortSignal.timeout(SWEEP_TIMEOUT_MS))
  }
}
