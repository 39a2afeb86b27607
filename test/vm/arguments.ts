/** The command line of `npm run test:vm`. */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { checkExpression, DEFAULT_KERNELS } from './kernels.ts'
import { chooseSuites, type Suite, SUITES } from './suites.ts'

export const HELP = `npm run test:vm [-- KERNEL…] [OPTIONS]

  Boots Debian's cloud kernels in QEMU, emulated, so that no KVM is needed, and runs the project's tests in them.
  A KERNEL is a version (6.1, 6.12.9) or 'newest', and means the newest that the mirror offers of it; 5.10, below
  the floor of 6.1, only informs. Without any: ${DEFAULT_KERNELS.join(', ')}.

  --only PATTERN      suites with that in their name; repeatable
  --limit SECONDS     for each suite (900)
  --at-once GUESTS    that run side by side (as many as processors: ${availableParallelism()})
  --update            write the goldens in docs/reference instead of comparing with them
  --json              one JSON object a suite instead of the table

${SUITES.map(({ name, summary }) => `  ${name.padEnd(18)}  ${summary}`).join('\n')}

  What a guest leaves (output, console, kernel log, TAP) is in build/vm/KERNEL/SUITE.
  Kernels are kept in /var/cache/causeway-vm.
`

const LIMIT_SECONDS = 900

export interface Arguments {
  readonly help: boolean
  readonly kernels: readonly string[]
  readonly suites: readonly Suite[]
  readonly limitMs: number
  readonly atOnce: number
  readonly update: boolean
  readonly json: boolean
}

/** Throws an Error for people. */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      only: { type: 'string', multiple: true, default: [] },
      limit: { type: 'string', default: `${LIMIT_SECONDS}` },
      'at-once': { type: 'string', default: `${availableParallelism()}` },
      update: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  for (const expression of positionals) checkExpression(expression)
  const whole = (option: 'limit' | 'at-once', unit: string): number => {
    const value = Number(values[option])
    if (Number.isInteger(value) && value >= 1) return value
    throw new Error(`--${option} takes ${unit} from 1, not ${values[option]}`)
  }
  return {
    help: values.help,
    kernels: positionals.length > 0 ? [...new Set(positionals)] : DEFAULT_KERNELS,
    suites: chooseSuites(values.only),
    limitMs: whole('limit', 'seconds') * 1000,
    atOnce: whole('at-once', 'guests'),
    update: values.update,
    json: values.json,
  }
}
