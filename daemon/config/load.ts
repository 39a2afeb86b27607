/**
 * Loads the configuration: defaults, then the file, the environment and the flags, each over the one before; checked as
 * a whole, so that one run reports every problem. The sections of plugins are found by name and left to the plugins.
 */
import { readFileSync } from 'node:fs'
import { ConfigError } from '../errors.ts'
import { checkSection, type Problem, problem, readText, unknownKey } from './check.ts'
import { type Settings, schema } from './schema.ts'
import { fromEnvironment, fromFile, fromFlag, fromObject } from './sources.ts'
import { locate, merge, plain, type Tree } from './tree.ts'

/** Configuration of an outside plugin: the module to import and its section. */
export interface OutsidePlugin {
  /** Module specifier; a relative one is relative to the configuration file. */
  readonly module: string
  readonly section: Readonly<Record<string, unknown>>
}

/** Settings from the cluster that are laid over the file. */
export interface SettingsLayer {
  /** Of the NodeSettings. */
  readonly name: string
  readonly settings: object
}

/** The configuration of a daemon. */
export interface Config extends Settings {
  /** Sections of the enabled plugins by plugin name; each plugin checks its own. */
  readonly sections: Readonly<Record<string, unknown>>
  readonly plugins: readonly OutsidePlugin[]
  /** The file that was read; undefined when there was none. */
  readonly file: string | undefined
  /** What was laid over it, the one that counts most last. */
  readonly layers: readonly SettingsLayer[]
}

export interface LoadedConfig {
  readonly config: Config
  /** Where a dotted key was written, such as `/etc/causeway/config.yaml:12`; undefined for a default. */
  readonly locate: (key: string) => string | undefined
  /** A plugin's ConfigError with the place of its key added. */
  readonly explain: (error: ConfigError) => ConfigError
}

export interface ConfigInput {
  /** Names of the plugins of the project; a top-level key of that name enables the plugin. */
  readonly pluginNames: readonly string[]
  /** An explicit file must exist; without one DEFAULT_FILE is read when it exists. */
  readonly file?: string | undefined
  /** Laid over the file, under the environment and the flags. */
  readonly layers?: readonly SettingsLayer[]
  /** Flags of the form `key.path=value`, later ones win. */
  readonly set?: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
}

export const DEFAULT_FILE = '/etc/causeway/config.yaml'

/** Throws ConfigError, which names the first wrong key; its message has a line for each problem. */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const { file, tree } = readTree(input)
  const problems: Problem[] = []
  checkLayers(input.layers ?? [], problems)
  const { own, sections, plugins } = split(tree, input.pluginNames, problems)
  const settings = checkSection(schema, own, '', problems) as Settings
  checkTogether(settings, tree, problems)
  if (problems[0]) throw new ConfigError(problems[0].key, message(problems))
  const where = (key: string): string | undefined => locate(tree, key)
  return {
    config: { ...settings, sections, plugins, file, layers: input.layers ?? [] },
    locate: where,
    explain: error => explain(error, where),
  }
}

/** All sources as one tree, nothing checked but the form of each. */
export function readTree(input: ConfigInput): { readonly file: string | undefined; readonly tree: Tree } {
  const env = input.env ?? {}
  const path = input.file ?? env.CAUSEWAY_CONFIG
  const source = readSource(path ?? DEFAULT_FILE, path !== undefined)
  const file = source === undefined ? undefined : (path ?? DEFAULT_FILE)
  const trees = [
    ...(file === undefined || source === undefined ? [] : [fromFile(file, source)]),
    ...(input.layers ?? []).map(({ name, settings }) => fromObject(`NodeSettings ${name}`, settings)),
    ...fromEnvironment(env, input.pluginNames),
    ...(input.set ?? []).map(fromFlag),
  ]
  return { file, tree: trees.reduce(merge, { from: 'defaults', children: new Map() }) }
}

function readSource(file: string, mustExist: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (!mustExist && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ConfigError('--config', `cannot read ${file}: ${(error as Error).message}`, { cause: error })
  }
}

/** Takes the plugins' sections and the list of outside plugins out of the tree. */
function split(
  tree: Tree,
  names: readonly string[],
  problems: Problem[],
): { own: Tree; sections: Record<string, unknown>; plugins: OutsidePlugin[] } {
  const own = new Map<string, Tree>()
  const sections: Record<string, unknown> = {}
  const plugins: OutsidePlugin[] = []
  for (const [key, child] of tree.children ?? []) {
    if (key === 'plugins') plugins.push(...outsidePlugins(child, problems))
    else if (names.includes(key)) {
      const value = plain(child, readText)
      if (value !== false) sections[key] = value ?? {}
    } else if (Object.hasOwn(schema.fields, key)) own.set(key, child)
    else problems.push(unknownKey(key, key, child, schema, [...names, 'plugins']))
  }
  return { own: { from: tree.from, children: own }, sections, plugins }
}

function outsidePlugins(tree: Tree, problems: Problem[]): OutsidePlugin[] {
  const value = plain(tree, readText)
  if (!Array.isArray(value)) {
    problems.push(problem('plugins', tree, 'must be a list; allowed: items of the form {module: ./file.ts, …}'))
    return []
  }
  return value.flatMap((item: unknown, index) => {
    const { module, ...section } = (item ?? {}) as Record<string, unknown>
    if (typeof module === 'string' && module !== '') return [{ module, section }]
    problems.push(problem(`plugins.${index}.module`, tree, 'missing; allowed: a path such as ./my-ipam.ts'))
    return []
  })
}

/** Keys that say how the cluster's settings are found and what code runs: whoever writes those does not choose these. */
const NODES_OWN = ['nodeName', 'cluster', 'paths', 'plugins']

/** The definition of NodeSettings refuses most of it, too; an API server may have another definition. */
function checkLayers(layers: readonly SettingsLayer[], problems: Problem[]): void {
  for (const { name, settings } of layers)
    for (const key of NODES_OWN.filter(own => Object.hasOwn(settings, own)))
      problems.push({ key, text: `belongs into the configuration file of the node (NodeSettings ${name})` })
}

/** What no key can say alone. */
function checkTogether(settings: Settings, tree: Tree, problems: Problem[]): void {
  const add = (key: string, text: string): void => {
    problems.push({ key, text: `${text} (${locate(tree, key) ?? 'default'})` })
  }
  if (settings.datapath.ingressBlock === settings.datapath.egressBlock) {
    add(
      'datapath.egressBlock',
      `${settings.datapath.egressBlock} is also datapath.ingressBlock; allowed: another number`,
    )
  }
  // sun_path holds 107 bytes and a terminator (unix(7)).
  if (Buffer.byteLength(settings.paths.run) > 107 - '/api.sock'.length) {
    add('paths.run', 'too long for a unix socket; allowed: at most 98 bytes')
  }
  const { durationSeconds, renewSeconds, retrySeconds } = settings.operator.lease
  if (renewSeconds >= durationSeconds)
    add(
      'operator.lease.renewSeconds',
      `${renewSeconds} is not less than operator.lease.durationSeconds, ${durationSeconds}`,
    )
  if (retrySeconds >= renewSeconds)
    add('operator.lease.retrySeconds', `${retrySeconds} is not less than operator.lease.renewSeconds, ${renewSeconds}`)
  const { certFile, keyFile, clientCaFile } = settings.metrics.tls
  if ((certFile === '') !== (keyFile === '')) {
    add(`metrics.tls.${certFile === '' ? 'certFile' : 'keyFile'}`, 'is missing; allowed: certificate and key together')
  }
  if (clientCaFile !== '' && certFile === '') {
    add('metrics.tls.clientCaFile', 'clients show certificates only to who has one; allowed: with metrics.tls.certFile')
  }
  settings.cni.chained.forEach(({ type }, index) => {
    if (type === 'bandwidth') {
      const why = 'it cannot share a device with the clsact qdisc that carries the datapath'
      add(`cni.chained.${index}.type`, `bandwidth is refused: ${why}; allowed: other plugins, such as tuning`)
    }
    if (type === 'portmap') {
      const why = 'host ports are served by the datapath itself, which would never see what it translates'
      add(`cni.chained.${index}.type`, `portmap is refused: ${why}; allowed: other plugins, such as tuning`)
    }
    if (type === 'causeway') add(`cni.chained.${index}.type`, 'causeway is already the first plugin; allowed: others')
  })
}

/** The first problem without its key, which ConfigError puts before it; the others each on a line. */
function message(problems: readonly Problem[]): string {
  return problems.map((p, index) => (index === 0 ? p.text : `${p.key}: ${p.text}`)).join('\n')
}

function explain(error: ConfigError, where: (key: string) => string | undefined): ConfigError {
  const place = where(error.key)
  if (place === undefined) return error
  const prefix = `${error.key}: `
  const problem = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message
  return new ConfigError(error.key, `${problem} (${place})`, { cause: error })
}
