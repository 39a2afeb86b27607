/** A command line → a command with checked options and operands. */
import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util'
import { nearest } from '../config/nearest.ts'
import {
  type CommandSpec,
  clientOptions,
  commonOptions,
  type OptionSpecs,
  type OptionValues,
  UsageError,
} from './command.ts'
import { allOptions } from './help.ts'

export interface ParsedLine {
  readonly command: CommandSpec
  readonly options: OptionValues
  readonly operands: readonly string[]
}

/** Throws UsageError, with what was probably meant. `undefined` when no command was named. */
export function parseLine(args: readonly string[], commands: readonly CommandSpec[]): ParsedLine | undefined {
  const found = findCommand(args, commands)
  if (!found) return undefined
  const { command, rest } = found
  const specs = allOptions(command)
  const { values, positionals } = parse(rest, specs, command)
  const options = optionValues(values)
  if (!options.flag('help')) {
    checkChoices(specs, options, command)
    checkOperands(positionals, command)
  }
  return { command, options, operands: positionals }
}

/** A command line whose command is none of ours. */
export interface ForeignLine {
  readonly name: string
  /** Options before the name: those of commands that speak to the daemon. */
  readonly options: OptionValues
  /** What follows the name, as it was given. */
  readonly args: readonly string[]
}

/** Throws UsageError for what stands before the name; undefined when the command is one of ours or none was named. */
export function findForeign(args: readonly string[], commands: readonly CommandSpec[]): ForeignLine | undefined {
  const [first] = wordsOf(args, commands)
  if (!first || commands.some(command => command.name.split(' ')[0] === first.value)) return undefined
  const specs = { ...clientOptions, ...commonOptions }
  const { values } = parse(args.slice(0, first.index), specs, { name: first.value })
  return { name: first.value, options: optionValues(values), args: args.slice(first.index + 1) }
}

/** The words that are neither options nor their values, with their places. */
function wordsOf(args: readonly string[], commands: readonly CommandSpec[]) {
  const every = Object.assign({}, ...commands.map(allOptions)) as OptionSpecs
  const { tokens } = parseArgs({
    args: [...args],
    options: descriptors(every),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  return tokens.filter(token => token.kind === 'positional')
}

/** The command's words are the first words. */
function findCommand(
  args: readonly string[],
  commands: readonly CommandSpec[],
): { readonly command: CommandSpec; readonly rest: readonly string[] } | undefined {
  const [first, second] = wordsOf(args, commands)
  if (!first) return undefined
  for (const taken of second ? [[first, second], [first]] : [[first]]) {
    const name = taken.map(token => token.value).join(' ')
    const command = commands.find(candidate => candidate.name === name)
    const indices = new Set(taken.map(token => token.index))
    if (command) return { command, rest: args.filter((_, index) => !indices.has(index)) }
  }
  throw unknownSecond(first.value, second?.value, commands)
}

/** The first word is one of ours that needs another. */
function unknownSecond(first: string, second: string | undefined, commands: readonly CommandSpec[]): UsageError {
  const below = commands.map(command => command.name.split(' ')).filter(([word]) => word === first)
  const known = below.map(([, word]) => word).join(', ')
  return new UsageError(
    second === undefined ? `${first} what? There are ${known}` : `${first} ${second}: there are ${known}`,
  )
}

/** Nobody has a command of that name. */
export function unknownCommand(first: string, commands: readonly Pick<CommandSpec, 'name'>[]): UsageError {
  const meant = nearest(first, new Set(commands.map(command => command.name.split(' ')[0] ?? '')))
  return new UsageError(`there is no command ${first}${meant === undefined ? '' : `; did you mean ${meant}?`}`)
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

function parse(
  args: readonly string[],
  specs: OptionSpecs,
  command: Pick<CommandSpec, 'name'>,
): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args: [...args], options: descriptors(specs), strict: true, allowPositionals: true })
  } catch (cause) {
    const message = (cause as Error).message
    const unknown = /^Unknown option '(-[^']*)'/.exec(message)?.[1]
    if (unknown === undefined) throw new UsageError(message.split('. ')[0] ?? message, command.name, { cause })
    const meant = nearest(unknown.replace(/^--?/, ''), Object.keys(specs))
    const hint = meant === undefined ? '' : `; did you mean --${meant}?`
    throw new UsageError(`${command.name} has no option ${unknown}${hint}`, command.name, { cause })
  }
}

function descriptors(specs: OptionSpecs): Record<string, ParseArgsOptionDescriptor> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short === undefined ? {} : { short }), multiple: multiple ?? false },
    ]),
  )
}

function optionValues(values: Values): OptionValues {
  const texts = (name: string): string[] => [values[name] ?? []].flat().filter(value => typeof value === 'string')
  return { texts, text: name => texts(name).at(-1), flag: name => values[name] === true }
}

function checkChoices(specs: OptionSpecs, options: OptionValues, command: CommandSpec): void {
  for (const [name, { choices }] of Object.entries(specs)) {
    for (const value of options.texts(name)) {
      if (choices && !choices.includes(value)) {
        throw new UsageError(`--${name} ${value} is not allowed; allowed: ${choices.join(', ')}`, command.name)
      }
    }
  }
}

function checkOperands(given: readonly string[], command: CommandSpec): void {
  const wanted = command.operands ?? []
  const extra = given[wanted.length]
  if (extra !== undefined) throw new UsageError(`${command.name} takes no operand ${extra}`, command.name)
  for (const [index, { name, choices }] of wanted.entries()) {
    const value = given[index]
    if (value === undefined) throw new UsageError(`${command.name} needs ${choices?.join(', ') ?? name}`, command.name)
    if (choices && !choices.includes(value)) {
      throw new UsageError(`${command.name} ${value} is not allowed; allowed: ${choices.join(', ')}`, command.name)
    }
  }
}
