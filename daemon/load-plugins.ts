/** The plugins that a configuration enables: the project's own in their order, then those from outside in theirs. */
import type { Config } from './config/load.ts'
import { type LoadOptions, loadOutsidePlugins } from './outside-plugin.ts'
import type { Plugin } from './plugin.ts'
import { type EnabledPlugin, enabledPlugins } from './run.ts'

/** Throws what loading a module from outside throws. */
export async function loadPlugins(
  config: Pick<Config, 'sections' | 'plugins' | 'file'>,
  own: readonly Plugin[],
  options?: LoadOptions,
): Promise<EnabledPlugin[]> {
  const outside = await loadOutsidePlugins(config.plugins, config.file, options)
  return [...enabledPlugins(own, config.sections), ...outside]
}
