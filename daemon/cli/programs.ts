/** The parts of the daemon that the command line starts, behind an interface so that tests need not start them. */
import type { Config, LoadedConfig } from '../config/load.ts'
import { loadConfig } from '../config/load.ts'
import type { NodeMount } from '../kernel/node-mounts.ts'
import type { Plugin } from '../plugin.ts'
import type { UninstallOptions, UninstallSettings } from '../uninstall.ts'

export interface Programs {
  plugins(): Promise<readonly Plugin[]>
  runDaemon(config: Config, signal: AbortSignal): Promise<void>
  runOperator(config: Config, signal: AbortSignal): Promise<void>
  /** What the daemon finds out about the plugins before it sets them up; throws ConfigError. */
  checkPlugins(config: Config): Promise<void>
  /** Mounts on the node what it lacks, and tells what that was; the process is then in the node's mount namespace. */
  mountOnNode(proc: string, wanted: readonly NodeMount[]): Promise<readonly NodeMount[]>
  uninstall(settings: UninstallSettings, options: UninstallProgress): Promise<void>
}
export type UninstallProgress = Pick<UninstallOptions, 'force' | 'say' | 'signal'>

/** The real ones, loaded when they are first needed: most commands only speak to a running daemon. */
export const realPrograms: Programs = {
  async plugins() {
    return (await import('../main.ts')).plugins
  },
  async runDaemon(config, signal) {
    const { runDaemon } = await import('../main.ts')
    await runDaemon(config, signal)
  },
  async runOperator(config, signal) {
    const { runOperator } = await import('../operator.ts')
    await runOperator(config, signal)
  },
  async checkPlugins(config) {
    const [{ plugins }, { loadPlugins }, { configurePlugins }] = await Promise.all([
      import('../main.ts'),
      import('../load-plugins.ts'),
      import('../run.ts'),
    ])
    configurePlugins(await loadPlugins(config, plugins))
  },
  async mountOnNode(proc, wanted) {
    const { mountOnNode } = await import('../kernel/node-mounts.ts')
    return mountOnNode(proc, wanted)
  },
  async uninstall(settings, options) {
    const [{ uninstall }, { LinuxKernel }, { warmThreadPool }] = await Promise.all([
      import('../uninstall.ts'),
      import('../kernel/linux.ts'),
      import('../kernel/netns/thread-pool.ts'),
    ])
    await warmThreadPool()
    using kernel = new LinuxKernel()
    await uninstall({ ...options, settings, kernel })
  },
}

/** Loads the configuration the way every command that needs all of it does. */
export async function loadWith(
  programs: Programs,
  input: { readonly file: string | undefined; readonly set: readonly string[] },
  env: Readonly<Record<string, string | undefined>>,
): Promise<LoadedConfig> {
  const plugins = await programs.plugins()
  return loadConfig({ pluginNames: plugins.map(plugin => plugin.name), env, ...input })
}
