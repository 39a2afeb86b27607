/** Help texts, made from the table of commands. */
import { type CommandSpec, commonOptions, type OptionSpec, type OptionSpecs } from './command.ts'
import type { CommandInfo } from '../api/plugin-commands.ts'
import { columns } from './text-table.ts'

/** Usage of the whole command: a line for each, those of plugins after ours. */
export function overview(commands: readonly CommandSpec[], plugins: readonly CommandInfo[]): string {
  const lines = columns(commands.map(command => [`  ${invocation(command)}`, command.summary]))
  const others = plugins.map(({ name, summary, plugin }) => [`  ${name}`, `${summary} (${plugin})`])
  return [
    'Usage: causeway COMMAND [OPTION]…',
    '',
    'A Kubernetes network: daemon and tools.',
    '',
    'Commands:',
    lines,
    ...(others.length === 0 ? [] : ['Commands of plugins, which the daemon runs:', columns(others)]),
    'causeway COMMAND --help shows the options of a command.',
    'Exit status: 0 done, 1 failed or not ready, 2 wrong usage, 3 the daemon does not answer.',
    '',
  ].join('\n')
}

/** Usage of one command. */
export function commandHelp(command: CommandSpec): string {
  const options = optionRows(command).map(row => [`  ${row[0]}`, row[1]])
  return [
    `Usage: causeway ${invocation(command)} [OPTION]…`,
    '',
    command.summary,
    ...(command.about === undefined ? [] : ['', command.about]),
    '',
    'Options:',
    columns(options),
  ].join('\n')
}

/** The reference page as Markdown. */
export function cliPage(commands: readonly CommandSpec[]): string {
  const sections = commands.flatMap(command => [
    `## causeway ${invocation(command)}`,
    '',
    [command.summary, ...(command.about === undefined ? [] : [command.about])].join(' '),
    '',
    '| option | meaning |',
    '| --- | --- |',
    ...optionRows(command).map(
      ([option, about]) => `| \`${option.replaceAll('|', '\\|')}\` | ${about.replaceAll('|', '\\|')} |`,
    ),
    '',
  ])
  return [
    '# Command line',
    '',
    'Printed from the code. Exit status: 0 done, 1 failed or not ready, 2 wrong usage, 3 the daemon does not answer.',
    '',
    'Plugins that run may have commands of their own, `causeway [--socket PATH] [--config FILE] NAME …`; `causeway --help`',
    'lists them. The daemon runs them, what follows the name is theirs, and so is the exit status.',
    '',
    ...sections,
  ].join('\n')
}

/** Every option of a command, those all commands take last. */
export function allOptions(command: CommandSpec): OptionSpecs {
  return { ...command.options, ...commonOptions }
}

function invocation(command: CommandSpec): string {
  const operands = (command.operands ?? []).map(({ name, choices }) => choices?.join('|') ?? name)
  return [command.name, ...operands].join(' ')
}

function optionRows(command: CommandSpec): [string, string][] {
  return Object.entries(allOptions(command)).map(([name, spec]) => [optionText(name, spec), spec.about])
}

function optionText(name: string, spec: OptionSpec): string {
  const value = spec.type === 'boolean' ? '' : ` ${spec.choices?.join('|') ?? spec.value ?? 'VALUE'}`
  return spec.short === undefined ? `--${name}${value}` : `-${spec.short}, --${name}${value}`
}
