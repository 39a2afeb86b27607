/** What a plugin's set-up returned, checked member by member: a plugin from outside is held to the contract by nobody else. */
import type { Parts } from './plugin.ts'
import { PluginFailed } from './plugin-life.ts'

type Members = Readonly<Record<string, unknown>>
/** What is wrong with a value; undefined when nothing is. */
type Check = (value: unknown) => string | undefined

/** The value as the parts it is; throws PluginFailed naming the plugin and the member that is not as agreed. */
export function checkParts(plugin: string, value: unknown): Parts {
  const problem = members({
    ipam: optional(members({ pools: listOf(word), ...functions('allocate', 'release', 'restore', 'status') })),
    encryption: optional(members({ overheadBytes: ofType('number') })),
    datapath: optional(members({ overlay: optional(ofType('boolean')), config: optional(constants) })),
    admit: optional(ofType('function')),
    links: optional(members(functions('shape'))),
    reconcilers: optional(listOf(members({ name: word, ...functions('start') }))),
    commands: optional(listOf(members({ name: command, summary: word, ...functions('run') }))),
    problems: optional(ofType('function')),
    run: optional(ofType('function')),
  })(value)
  if (problem !== undefined) throw new PluginFailed(plugin, `what its set-up returned is not as agreed: ${problem}`)
  // Every member was checked above.
  return value as Parts
}

/** An object with these members; others may stand beside them. */
function members(checks: Readonly<Record<string, Check>>): Check {
  return value => {
    if (typeof value !== 'object' || value === null) return 'it must be an object'
    for (const [name, check] of Object.entries(checks)) {
      const problem = check((value as Members)[name])
      if (problem !== undefined) return `'${name}': ${problem}`
    }
    return undefined
  }
}

function functions(...names: readonly string[]): Readonly<Record<string, Check>> {
  return Object.fromEntries(names.map(name => [name, ofType('function')]))
}

function listOf(check: Check): Check {
  return value => (Array.isArray(value) ? value.map(check).find(p => p !== undefined) : 'it must be a list')
}

function optional(check: Check): Check {
  return value => (value === undefined ? undefined : check(value))
}

function ofType(type: 'number' | 'function' | 'boolean'): Check {
  return value => (typeof value === type ? undefined : `it must be a ${type}`)
}

function word(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? undefined : 'it must be text'
}

function command(value: unknown): string | undefined {
  return typeof value === 'string' && /^[a-z][a-z0-9-]*$/.test(value)
    ? undefined
    : 'it must be lower-case words joined by -'
}

function constants(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'it must be an object'
  const wrong = Object.entries(value).find(([, constant]) => !['number', 'bigint', 'boolean'].includes(typeof constant))
  return wrong && `'${wrong[0]}' must be a number, a bigint or a boolean`
}
