/** Plugins from outside the project: modules that the configuration names, loaded by dynamic import. */
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { OutsidePlugin } from './config/load.ts'
import { ConfigError } from './errors.ts'
import type { Plugin } from './plugin.ts'
import type { EnabledPlugin } from './run.ts'

/**
 * Loads the modules in order. Throws ConfigError naming the item when a module is not there, fails to load, or does not
 * export a plugin; the message says what the file has instead.
 */
export async function loadOutsidePlugins(
  items: readonly OutsidePlugin[],
  configFile: string | undefined,
): Promise<EnabledPlugin[]> {
  const loaded: EnabledPlugin[] = []
  for (const [i, { module, section }] of items.entries())
    loaded.push({ plugin: await load(`plugins.${i}.module`, module, configFile), section })
  return loaded
}

async function load(key: string, module: string, configFile: string | undefined): Promise<Plugin> {
  if (!/^\.{0,2}\//.test(module))
    throw new ConfigError(key, `'${module}' is no path; allowed: a path that begins with ./, ../ or /`)
  if (configFile === undefined && !module.startsWith('/'))
    throw new ConfigError(
      key,
      `'${module}' is relative to the configuration file, and there is none; allowed: an absolute path`,
    )
  const file = resolve(dirname(configFile ?? '/'), module)
  if (!existsSync(file)) throw new ConfigError(key, `there is no file ${file}`)
  return pluginOf(key, file, await importFile(key, file))
}

async function importFile(key: string, file: string): Promise<object> {
  try {
    const module: unknown = await import(pathToFileURL(file).href)
    return Object(module) as object
  } catch (cause) {
    throw new ConfigError(key, `${file} does not load: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
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
