/** The slots that plugins fill: each pool of addresses by one plugin, encryption by at most one. */
import { ConfigError } from './errors.ts'
import { type Command, DEFAULT_POOL, type Encryption, type Ipam, type Parts } from './plugin.ts'

/** First words of the project's own commands, which no plugin may take. */
export const OWN_COMMANDS: readonly string[] = [
  'daemon',
  'operator',
  'status',
  'health',
  'endpoints',
  'pools',
  'ipam',
  'nodes',
  'services',
  'nat',
  'flows',
  'trace',
  'tables',
  'metrics',
  'config',
  'crds',
  'preflight',
  'install',
  'mounts',
  'uninstall',
  'version',
  'completion',
]

/** A part and the plugin it is from. */
export interface Filled<T> {
  readonly plugin: string
  readonly part: T
}
export interface Slots {
  /** By name of the pool. */
  readonly ipam: ReadonlyMap<string, Filled<Ipam>>
  readonly encryption?: Filled<Encryption>
  /** Load-time constants of the programs, by name. */
  readonly constants: ReadonlyMap<string, Filled<number | bigint | boolean>>
  /** By the name that calls it. */
  readonly commands: ReadonlyMap<string, Filled<Command>>
}

/** Sorts the parts of all plugins into slots; throws ConfigError naming both plugins when a slot is filled twice. */
export function fillSlots(parts: ReadonlyMap<string, Parts>): Slots {
  const ipam = new Map<string, Filled<Ipam>>()
  const encryption = new Map<string, Filled<Encryption>>()
  const constants = new Map<string, Filled<number | bigint | boolean>>()
  const commands = new Map<string, Filled<Command>>()
  for (const [plugin, made] of parts) {
    const fill = <T>(slot: Map<string, Filled<T>>, name: string, what: string, part: T): void => {
      refuseSecond(plugin, what, slot.get(name))
      slot.set(name, { plugin, part })
    }
    if (made.ipam) for (const pool of made.ipam.pools) fill(ipam, pool, `the pool '${pool}'`, made.ipam)
    if (made.encryption) fill(encryption, '', 'encryption', made.encryption)
    for (const [name, value] of Object.entries(made.datapath?.config ?? {}))
      fill(constants, name, `the constant '${name}'`, value)
    for (const command of made.commands ?? []) {
      refuseReserved(plugin, command.name)
      fill(commands, command.name, `the command '${command.name}'`, command)
    }
  }
  const encrypting = encryption.get('')
  return { ipam, constants, commands, ...(encrypting && { encryption: encrypting }) }
}

/** Throws ConfigError for that key when no plugin serves the pool, saying which pools there are. */
export function requirePool({ ipam }: Pick<Slots, 'ipam'>, pool: string, key: string): void {
  if (ipam.has(pool)) return
  const others = [...ipam].map(([name, { plugin }]) => `'${name}' (${plugin})`).join(', ')
  const there = others === '' ? 'no plugin with pools is enabled' : `the pools are ${others}`
  throw new ConfigError(key, `no enabled plugin serves the pool '${pool}'; ${there}`)
}

/** Each implementation once, the one that serves DEFAULT_POOL first. */
export function ipamsOf({ ipam }: Pick<Slots, 'ipam'>): readonly Ipam[] {
  const all = [...ipam].toSorted(([a], [b]) => Number(b === DEFAULT_POOL) - Number(a === DEFAULT_POOL))
  return [...new Set(all.map(([, { part }]) => part))]
}

function refuseReserved(plugin: string, command: string): void {
  if (!OWN_COMMANDS.includes(command)) return
  throw new ConfigError(plugin, `plugin ${plugin} has a command '${command}', which causeway itself has`)
}

function refuseSecond(plugin: string, what: string, first: Filled<unknown> | undefined): void {
  if (!first) return
  throw new ConfigError(plugin, `plugins ${first.plugin} and ${plugin} both provide ${what}; disable one of them`)
}
