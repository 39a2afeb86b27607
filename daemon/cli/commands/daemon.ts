/** `causeway daemon`: the daemon itself. */
import { ConfigError } from '../../errors.ts'
import { type CommandSpec, configOptions } from '../command.ts'
import { loadWith } from '../programs.ts'

/** A stop that takes longer has gone wrong; pods keep their network all the same. */
const STOP_MS = 9500

export const daemon: CommandSpec = {
  name: 'daemon',
  summary: 'Run the daemon of this node.',
  about: 'SIGTERM and SIGINT stop it within 10 s, a second one at once. Traffic goes on without it.',
  options: configOptions,
  async run({ options, env, programs, signal, err }) {
    const input = { file: options.text('config'), set: options.texts('set') }
    const loaded = await loadWith(programs, input, env)
    let late: NodeJS.Timeout | undefined
    const limit = (): void => {
      late = setTimeout(() => {
        err(`causeway: the daemon did not stop within ${STOP_MS} ms and ends now\n`)
        process.exit(1)
      }, STOP_MS)
    }
    signal.addEventListener('abort', limit, { once: true })
    try {
      await programs.runDaemon(loaded.config, signal)
      return 0
    } catch (error) {
      throw error instanceof ConfigError ? loaded.explain(error) : error
    } finally {
      clearTimeout(late)
      signal.removeEventListener('abort', limit)
    }
  },
}
