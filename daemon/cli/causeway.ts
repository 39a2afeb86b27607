/** The command `causeway`. */
import { commands } from './commands.ts'
import { runCli } from './cli.ts'
import { realPrograms } from './programs.ts'

const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // Whoever asks twice does not want to wait.
    if (stop.signal.aborted) process.exit(1)
    stop.abort(new Error(`stopped by ${name}`))
  })
}
// A reader that has seen enough, such as head, closes the pipe: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

const status = await runCli(
  {
    args: process.argv.slice(2),
    env: process.env,
    isTty: process.stdout.isTTY,
    signal: stop.signal,
    programs: realPrograms,
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
  },
  commands,
)
process.exitCode = status
