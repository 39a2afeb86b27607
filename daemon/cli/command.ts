/** What a command of the command line is: one value from which parsing, help, completion and reference page come. */
import { CausewayError } from '../errors.ts'
import type { ApiClient } from './client.ts'
import type { Programs } from './programs.ts'

export type Format = 'table' | 'json' | 'yaml'

export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** Placeholder of the value in help, such as `N`. */
  readonly value?: string
  readonly multiple?: true
  readonly choices?: readonly string[]
  readonly about: string
}
export type OptionSpecs = Readonly<Record<string, OptionSpec>>

export interface CommandSpec {
  /** One or two words, such as `config print`. */
  readonly name: string
  readonly summary: string
  /** What follows the command's words, such as `SHELL`; each is required. */
  readonly operands?: readonly { readonly name: string; readonly choices?: readonly string[] }[]
  readonly options?: OptionSpecs
  /** Further sentences for help and reference page. */
  readonly about?: string
  /** Exit status. What it throws becomes a message and a status in `cli.ts`. */
  run(context: CommandContext): Promise<number>
}

/** A parsed command line with everything a command may use. */
export interface CommandContext {
  readonly options: OptionValues
  readonly operands: readonly string[]
  readonly format: Format
  /** Standard output is a terminal and colours are wanted. */
  readonly colour: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal
  readonly programs: Programs
  /** Commands of the command line, for help and completion. */
  readonly commands: readonly CommandSpec[]
  /** A client of the daemon that the options or the configuration name. */
  readonly client: (answerMs?: number) => ApiClient
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

/** Values of options by name. */
export interface OptionValues {
  text(name: string): string | undefined
  texts(name: string): readonly string[]
  flag(name: string): boolean
}

/** Those of a command line without any. */
export const noOptions: OptionValues = { text: () => undefined, texts: () => [], flag: () => false }

/** Options every command takes. */
export const commonOptions: OptionSpecs = {
  help: { type: 'boolean', short: 'h', about: 'Show help for the command.' },
}
/** Options of commands that speak to the daemon. */
export const clientOptions: OptionSpecs = {
  socket: {
    type: 'string',
    value: 'PATH',
    about: "The daemon's socket; otherwise $CAUSEWAY_SOCKET, or api.sock in `paths.run` of the configuration.",
  },
  config: { type: 'string', value: 'FILE', about: 'Configuration file; otherwise $CAUSEWAY_CONFIG or the default.' },
}
/** Options of commands that load the whole configuration. */
export const configOptions: OptionSpecs = {
  config: { type: 'string', value: 'FILE', about: 'Configuration file; otherwise $CAUSEWAY_CONFIG or the default.' },
  set: { type: 'string', value: 'KEY=VALUE', multiple: true, about: 'Set a configuration key; may be repeated.' },
}
export const formatOption: OptionSpecs = {
  output: { type: 'string', short: 'o', value: 'FORMAT', choices: ['table', 'json', 'yaml'], about: 'Output format.' },
}

/** A wrong command line: exit status 2. */
export class UsageError extends CausewayError {
  readonly command: string | undefined
  constructor(message: string, command?: string, options?: ErrorOptions) {
    super('USAGE', message, options)
    this.command = command
  }
}
