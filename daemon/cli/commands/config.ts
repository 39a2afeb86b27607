/** `causeway config`: what the configuration is, whether it can be used, and what may stand in it. */
import { isMap, isScalar, parseDocument, stringify } from 'yaml'
import { configPage } from '../../config/docs.ts'
import type { LoadedConfig } from '../../config/load.ts'
import { isConfigError } from '../../errors.ts'
import { type CommandContext, type CommandSpec, configOptions, formatOption } from '../command.ts'
import { loadWith } from '../programs.ts'

export const configPrint: CommandSpec = {
  name: 'config print',
  summary: 'Print the whole configuration with where each value comes from.',
  options: { ...formatOption, ...configOptions },
  async run(context) {
    const loaded = await load(context)
    const { sections, plugins, file: _file, layers: _layers, ...settings } = loaded.config
    const value = { ...settings, ...sections, ...(plugins.length === 0 ? {} : { plugins: plugins.map(flat) }) }
    context.out(context.format === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : withPlaces(value, loaded))
    return 0
  },
}

export const configCheck: CommandSpec = {
  name: 'config check',
  summary: "Check the configuration, the plugins' sections included.",
  about: 'Plugins from outside are loaded for it. What only this node can tell, such as its devices, is not looked at.',
  options: configOptions,
  async run(context) {
    const loaded = await load(context)
    try {
      await context.programs.checkPlugins(loaded.config)
    } catch (error) {
      throw isConfigError(error) ? loaded.explain(error) : error
    }
    context.out(`${loaded.config.file ?? 'the configuration without a file'} is good\n`)
    return 0
  },
}

export const configDocs: CommandSpec = {
  name: 'config docs',
  summary: 'Print the reference page of all keys as Markdown.',
  async run(context) {
    context.out(configPage())
    return await Promise.resolve(0)
  },
}

function load({ options, programs, env }: CommandContext): Promise<LoadedConfig> {
  return loadWith(programs, { file: options.text('config'), set: options.texts('set') }, env)
}

function flat({ module, section }: { module: string; section: object }): object {
  return { module, ...section }
}

/** YAML in which values that are no defaults say where they were written. */
function withPlaces(value: object, loaded: LoadedConfig): string {
  const document = parseDocument(stringify(value))
  const visit = (node: unknown, path: string): void => {
    if (!isMap(node)) return
    for (const { key, value: inner } of node.items) {
      if (!isScalar(key)) continue
      const name = path === '' ? String(key.value) : `${path}.${String(key.value)}`
      const place = loaded.locate(name)
      if (isScalar(inner) && place !== undefined) inner.comment = ` ${place}`
      visit(inner, name)
    }
  }
  visit(document.contents, '')
  return document.toString()
}
