/** The command `causeway`. The one file that does something when it is loaded. */
import { runCli } from './cli.ts'
import { commands } from './commands.ts'
import { realPrograms } from './programs.ts'

/** Sets the exit status once the command has ended; what still holds the event loop then is the command's fault. */
async function main(): Promise<void> {
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
  process.exitCode = await runCli(
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
}

// Bundled as CommonJS, where nothing can be awaited at the top. runCli never rejects.
void main()
