/** Runs one command line: finds the command, gives it its context, turns errors into messages and exit statuses. */
import { readRunDirectory } from '../config/settings-part.ts'
import { isConfigError } from '../errors.ts'
import { ApiClient, daemonAt, DaemonUnreachable } from './client.ts'
import {
  type CommandContext,
  type CommandSpec,
  type Format,
  noOptions,
  type OptionValues,
  UsageError,
} from './command.ts'
import { errorText, isAbortOf } from './error-text.ts'
import { commandHelp, overview } from './help.ts'
import { findForeign, type ForeignLine, type ParsedLine, parseLine, unknownCommand } from './parse.ts'
import { listPluginCommands, runPluginCommand } from './plugin-command.ts'
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
    const foreign = findForeign(terminal.args, commands)
    if (foreign) return await runForeign(foreign, terminal, commands)
    const line = parseLine(terminal.args, commands)
    if (line) return await runLine(line, terminal, commands)
    if (terminal.args.some(arg => arg !== '--help' && arg !== '-h')) throw new UsageError('no command was named')
    terminal.out(overview(commands, await listPluginCommands(clientOf(noOptions, terminal))))
    return 0
  } catch (error) {
    return report(error, terminal)
  }
}

/** A name that is none of ours may be a plugin's, which the daemon knows. */
async function runForeign(
  { name, options, args }: ForeignLine,
  terminal: Terminal,
  commands: readonly CommandSpec[],
): Promise<number> {
  const client = clientOf(options, terminal)
  const known = await listPluginCommands(client)
  if (!known.some(command => command.name === name)) throw unknownCommand(name, [...commands, ...known])
  return await runPluginCommand(client(), name, args, text => terminal.out(text))
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
    client: clientOf(options, terminal),
    out: text => terminal.out(text),
    err: text => terminal.err(text),
  }
}

/** Makes clients of the daemon that the options, the environment or the configuration name. */
function clientOf(options: OptionValues, { env, signal }: Terminal): CommandContext['client'] {
  return answerMs => {
    const socket = options.text('socket') ?? env.CAUSEWAY_SOCKET
    const config = { file: options.text('config'), set: options.texts('set'), env }
    return new ApiClient(daemonAt(socket ?? `${readRunDirectory(config)}/api.sock`), signal, answerMs)
  }
}

function report(error: unknown, terminal: Terminal): number {
  if (isAbortOf(error, terminal.signal)) return 1
  if (error instanceof UsageError) {
    const help = error.command === undefined ? 'causeway --help' : `causeway ${error.command} --help`
    terminal.err(`causeway: ${error.message}\nTry ${help}\n`)
    return 2
  }
  const what = isConfigError(error) ? 'the configuration cannot be used:\n' : ''
  const unreachable = error instanceof DaemonUnreachable
  terminal.err(`causeway: ${what}${unreachable ? error.message : errorText(error)}\n`)
  return unreachable ? 3 : 1
}
