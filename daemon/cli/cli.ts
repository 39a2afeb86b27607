/** Runs one command line: finds the command, gives it its context, turns errors into messages and exit statuses. */
import { readRunDirectory } from '../config/run-directory.ts'
import { isConfigError } from '../errors.ts'
import { ApiClient, DaemonUnreachable } from './client.ts'
import { type CommandContext, type CommandSpec, type Format, UsageError } from './command.ts'
import { commandHelp, overview } from './help.ts'
import { type ParsedLine, parseLine } from './parse.ts'
import type { Programs } from './programs.ts'

/** What the command line is run with. */
export interface Terminal {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Standard output is a terminal. */
  readonly isTty: boolean
  readonly signal: AbortSignal
  readonly programs: Programs
  out(text: string): void
  err(text: string): void
}

/** Exit status: 0 done, 1 failed, 2 wrong usage, 3 the daemon does not answer. Never rejects. */
export async function runCli(terminal: Terminal, commands: readonly CommandSpec[]): Promise<number> {
  try {
    const line = parseLine(terminal.args, commands)
    if (line) return await runLine(line, terminal, commands)
    if (terminal.args.some(arg => arg !== '--help' && arg !== '-h')) throw new UsageError('no command was named')
    terminal.out(overview(commands))
    return 0
  } catch (error) {
    return report(error, terminal)
  }
}

async function runLine(line: ParsedLine, terminal: Terminal, commands: readonly CommandSpec[]): Promise<number> {
  if (line.options.flag('help')) {
    terminal.out(commandHelp(line.command))
    return 0
  }
  return await line.command.run(contextOf(line, terminal, commands))
}

function contextOf(
  { options, operands }: ParsedLine,
  terminal: Terminal,
  commands: readonly CommandSpec[],
): CommandContext {
  const { env, signal, programs } = terminal
  return {
    options,
    operands,
    // Checked against its choices by the parser.
    format: (options.text('output') ?? 'table') as Format,
    colour: terminal.isTty && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb',
    env,
    signal,
    programs,
    commands,
    client() {
      const socket = options.text('socket') ?? env.CAUSEWAY_SOCKET
      const config = { file: options.text('config'), set: options.texts('set'), env }
      return new ApiClient(socket ?? `${readRunDirectory(config)}/api.sock`, signal)
    },
    out: text => terminal.out(text),
    err: text => terminal.err(text),
  }
}

function report(error: unknown, terminal: Terminal): number {
  if (terminal.signal.aborted) return 1
  if (error instanceof UsageError) {
    const help = error.command === undefined ? 'causeway --help' : `causeway ${error.command} --help`
    terminal.err(`causeway: ${error.message}\nTry ${help}\n`)
    return 2
  }
  const what = isConfigError(error) ? 'the configuration cannot be used:\n' : ''
  const unreachable = error instanceof DaemonUnreachable
  terminal.err(`causeway: ${what}${unreachable ? error.message : messageOf(error)}\n`)
  return unreachable ? 3 : 1
}

/** The message with those of its causes, each that says something new. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? messageOf(error.cause) : ''
  return cause === '' || error.message.includes(cause) ? error.message : `${error.message}: ${cause}`
}
