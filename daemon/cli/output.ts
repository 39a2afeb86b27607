/** Values in the format that was asked for. */
import { stringify } from 'yaml'
import type { CommandContext } from './command.ts'

/** Prints a value as JSON or YAML, or by `table` for people. */
export function print<T>(context: Pick<CommandContext, 'format' | 'out'>, value: T, table: (value: T) => string): void {
  if (context.format === 'json') context.out(`${JSON.stringify(value, undefined, 2)}\n`)
  else if (context.format === 'yaml') context.out(stringify(value))
  else context.out(table(value))
}

const codes = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const

/** Text in a colour (ECMA-48 SGR), or as it is where colours are not wanted. */
export function coloured(context: Pick<CommandContext, 'colour'>, colour: keyof typeof codes, text: string): string {
  return context.colour ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
}
