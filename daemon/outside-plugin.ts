/** Plugins from outside the project: modules that the configuration names, loaded by dynamic import. */
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { abortable } from './abort.ts'
import type { OutsidePlugin } from './config/load.ts'
import { ConfigError, messageOf } from './errors.ts'
import type { Plugin } from './plugin.ts'
import type { EnabledPlugin } from './run.ts'

/** A module may wait for something at its top level; nobody would know what the start hangs on. */
const IMPORT_MS = 10_000

export interface LoadOptions {
  /** Ends the loading; its reason is thrown. */
  readonly signal?: AbortSignal
  /** For each module; 10 s unless given. */
  readonly importTimeoutMs?: number
}

/**
 * Loads the modules in order. Throws ConfigError naming the item when a module is not there, fails to load in time, or
 * does not export a plugin; the message says what the file has instead.
 */
export async function loadOutsidePlugins(
  items: readonly OutsidePlugin[],
  configFile: string | undefined,
  options: LoadOptions = {},
): Promise<EnabledPlugin[]> {
  const loaded: EnabledPlugin[] = []
  for (const [i, { module, section }] of items.entries()) {
    const key = `plugins.${i}.module`
    const file = fileOf(key, module, configFile)
    loaded.push({ plugin: pluginOf(key, file, await importFile(key, file, options)), section })
  }
  return loaded
}

function fileOf(key: string, module: string, configFile: string | undefined): string {
  if (!/^\.{0,2}\//.test(module))
    throw new ConfigError(key, `'${module}' is no path; allowed: a path that begins with ./, ../ or /`)
  if (configFile === undefined && !module.startsWith('/'))
    throw new ConfigError(
      key,
      `'${module}' is relative to the configuration file, and there is none; allowed: an absolute path`,
    )
  const file = resolve(dirname(configFile ?? '/'), module)
  if (!existsSync(file)) throw new ConfigError(key, `there is no file ${file}`)
  return file
}

async function importFile(key: string, file: string, options: LoadOptions): Promise<object> {
  const { signal, importTimeoutMs = IMPORT_MS } = options
  const late = AbortSignal.timeout(importTimeoutMs)
  try {
    const loading: Promise<unknown> = import(pathToFileURL(file).href)
    const module = await abortable(loading, signal ? AbortSignal.any([signal, late]) : late)
    return Object(module) as object
  } catch (cause) {
    signal?.throwIfAborted()
    const problem = late.aborted ? `within ${importTimeoutMs / 1000} s` : `: ${messageOf(cause)}`
    throw new ConfigError(key, `${file} does not load${late.aborted ? ' ' : ''}${problem}`, { cause })
  }
}

function pluginOf(key: string, file: string, module: object): Plugin {
  if (!('plugin' in module)) {
    const names = Object.keys(module).join(', ')
    throw new ConfigError(key, `${file} must export 'plugin'; it exports ${names === '' ? 'nothing' : names}`)
  }
  const problem = problemOf(module.plugin)
  if (problem !== undefined) throw new ConfigError(key, `the export 'plugin' of ${file} is no plugin: ${problem}`)
  // Each member was checked by problemOf.
  return module.plugin as Plugin
}

/** What keeps a value from being a plugin. */
function problemOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return `it is ${value === null ? 'null' : `a ${typeof value}`}`
  const { name, after, configure } = value as Readonly<Record<string, unknown>>
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]*$/.test(name)) return "'name' must be lower-case words joined by -"
  if (typeof configure !== 'function') return "'configure' must be a function"
  const names = after ?? []
  if (!Array.isArray(names) || names.some(other => typeof other !== 'string')) return "'after' must be a list of names"
  return undefined
}
