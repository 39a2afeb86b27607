/** Completion scripts for shells, made from the table of commands. */
import type { CommandInfo } from '../api/plugin-commands.ts'
import type { CommandSpec, OptionSpec } from './command.ts'
import { allOptions } from './help.ts'

export const shells = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof shells)[number]

/** The script for a shell. What follows a plugin's command is the plugin's, and nothing is offered there. */
export function completion(
  shell: Shell,
  commands: readonly CommandSpec[],
  plugins: readonly CommandInfo[] = [],
): string {
  if (shell === 'fish') return fish(commands, plugins)
  // zsh runs bash completions once bashcompinit is loaded.
  return shell === 'bash'
    ? bash(commands, plugins)
    : `#compdef causeway\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands, plugins)}`
}

function bash(commands: readonly CommandSpec[], plugins: readonly CommandInfo[]): string {
  const words = firstWords(commands)
  const all = [...words, ...plugins.map(({ name }) => name), '--help']
  // The first that fits counts: of two words before the command of the first alone.
  const byLength = commands.toSorted((a, b) => b.name.length - a.name.length)
  const cases = byLength.map(command => `    '${command.name}'*) words='${candidates(command).join(' ')}' ;;`)
  const seconds = words
    .map(word => [word, secondWords(commands, word)] as const)
    .filter(([, second]) => second.length > 0)
    .map(([word, second]) => `    '${word}') words='${second.join(' ')}' ;;`)
  return [
    '_causeway() {',
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"',
    '  local line="${COMP_WORDS[*]:1:COMP_CWORD-1}" words=""',
    '  case "$line" in',
    `    '') words='${all.join(' ')}' ;;`,
    ...seconds,
    ...cases,
    '  esac',
    '  case "$previous" in',
    ...valueCases(commands),
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '}',
    'complete -o default -F _causeway causeway',
    '',
  ].join('\n')
}

/** Options whose values are known complete to them, those that take a path to files. */
function valueCases(commands: readonly CommandSpec[]): string[] {
  const options = new Map<string, OptionSpec>()
  for (const [name, spec] of commands.flatMap(command => Object.entries(allOptions(command)))) {
    // An option of several commands has the values of all of them.
    const choices = [...new Set([...(options.get(name)?.choices ?? []), ...(spec.choices ?? [])])]
    options.set(name, { ...spec, ...(choices.length > 0 && { choices }) })
  }
  return [...options].flatMap(([name, spec]) => {
    const pattern = spec.short === undefined ? `--${name}` : `--${name}|-${spec.short}`
    if (spec.choices) return [`    ${pattern}) words='${spec.choices.join(' ')}' ;;`]
    return spec.type === 'string' ? [`    ${pattern}) words='' ;;`] : []
  })
}

function fish(commands: readonly CommandSpec[], plugins: readonly CommandInfo[]): string {
  const lines = ['complete -c causeway -f']
  for (const { name, summary } of plugins)
    lines.push(`complete -c causeway -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`)
  for (const word of firstWords(commands)) {
    const about = commands.find(command => command.name === word)?.summary ?? `${word} …`
    lines.push(`complete -c causeway -n __fish_use_subcommand -a ${word} -d ${quoted(about)}`)
    for (const second of secondWords(commands, word)) {
      lines.push(`complete -c causeway -n '__fish_seen_subcommand_from ${word}' -a ${second}`)
    }
  }
  for (const command of commands) {
    const seen = command.name
      .split(' ')
      .map(word => `__fish_seen_subcommand_from ${word}`)
      .join('; and ')
    for (const operand of command.operands ?? []) {
      if (operand.choices) lines.push(`complete -c causeway -n '${seen}' -a '${operand.choices.join(' ')}'`)
    }
    for (const [name, spec] of Object.entries(allOptions(command))) {
      const short = spec.short === undefined ? '' : ` -s ${spec.short}`
      const value = spec.choices ? ` -x -a '${spec.choices.join(' ')}'` : spec.type === 'string' ? ' -r -F' : ''
      lines.push(`complete -c causeway -n '${seen}' -l ${name}${short}${value} -d ${quoted(spec.about)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function candidates(command: CommandSpec): string[] {
  const operands = (command.operands ?? []).flatMap(operand => operand.choices ?? [])
  const options = Object.entries(allOptions(command)).map(([name]) => `--${name}`)
  return [...operands, ...options]
}

function firstWords(commands: readonly CommandSpec[]): string[] {
  return [...new Set(commands.map(command => command.name.split(' ')[0] ?? ''))]
}

function secondWords(commands: readonly CommandSpec[], first: string): string[] {
  return commands
    .map(command => command.name.split(' '))
    .flatMap(([a, b]) => (a === first && b !== undefined ? [b] : []))
}

/** Single quotes of fish: only \ and ' are special inside. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
