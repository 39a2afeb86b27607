/** The command line of `npm run test:vm`. */
import { parseArgs } from 'node:util'
import { checkExpression, DEFAULT_KERNELS } from './kernels.ts'
import { chooseSuites, type Suite, SUITES } from './suites.ts'

export const HELP = `npm run test:vm [-- KERNEL…] [OPTIONS]

  Boots Debian's cloud kernels in QEMU, emulated, so that no KVM is needed, and runs the project's tests in them.
  A KERNEL is a version (6.1, 6.12.9) or 'newest', and means the newest that the mirror offers of it; 5.10, below
  the floor of 6.1, only informs. Without any: ${DEFAULT_KERNELS.join(', ')}.

  --only PATTERN      suites with that in their name; repeatable
  --limit SECONDS     for each suite (600)
  --update            write the goldens in docs/reference instead of comparing with them
  --json              one JSON object a suite instead of the table

${SUITES.map(({ name, summary }) => `  ${name.padEnd(18)}  ${summary}`).join('\n')}

  What a guest leaves (output, console, kernel log, TAP) is in build/vm/KERNEL/SUITE.
  Kernels are kept in /var/cache/causeway-vm.
`

const LIMIT_SECONDS = 600

export interface Arguments {
  readonly help: boolean
  readonly kernels: readonly string[]
  readonly suites: readonly Suite[]
  readonly limitMs: number
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
      update: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  for (const expression of positionals) checkExpression(expression)
  const seconds = Number(values.limit)
  if (!Number.isInteger(seconds) || seconds < 1) throw new Error(`--limit takes seconds from 1, not ${values.limit}`)
  return {
    help: values.help,
    kernels: positionals.length > 0 ? [...new Set(positionals)] : DEFAULT_KERNELS,
    suites: chooseSuites(values.only),
    limitMs: seconds * 1000,
    update: values.update,
    json: values.json,
  }
}
