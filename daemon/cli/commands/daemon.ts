/** `causeway daemon`: the daemon itself. */
import { isConfigError } from '../../errors.ts'
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
    let limit: NodeJS.Timeout | undefined
    // Not kept alive by it, a process that ends in good order never sees its end. One that something a plugin left
    // behind keeps alive would otherwise serve nothing for ever, and nobody would start it anew.
    const mustEnd = (): void => {
      limit ??= setTimeout(() => {
        err(`causeway: the daemon did not stop within ${STOP_MS} ms and ends now\n`)
        process.exit(1)
      }, STOP_MS).unref()
    }
    signal.addEventListener('abort', mustEnd, { once: true })
    try {
      await programs.runDaemon(loaded.config, signal)
      return 0
    } catch (error) {
      throw isConfigError(error) ? loaded.explain(error) : error
    } finally {
      mustEnd()
      signal.removeEventListener('abort', mustEnd)
    }
  },
}
