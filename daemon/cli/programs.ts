/** The parts of the daemon that the command line starts, behind an interface so that tests need not start them. */
import type { Config, LoadedConfig } from '../config/load.ts'
import { loadConfig } from '../config/load.ts'
import type { Plugin } from '../plugin.ts'

export interface Programs {
  plugins(): Promise<readonly Plugin[]>
  runDaemon(config: Config, signal: AbortSignal): Promise<void>
  uninstall(config: Config, force: boolean, say: (line: string) => void): Promise<void>
}

/** The real ones, loaded when they are first needed: most commands only speak to a running daemon. */
export const realPrograms: Programs = {
  async plugins() {
    return (await import('../main.ts')).plugins
  },
  async runDaemon(config, signal) {
    const { runDaemon } = await import('../main.ts')
    await runDaemon(config, signal)
  },
  async uninstall(settings, force, say) {
    const [{ uninstall }, { LinuxKernel }, { warmThreadPool }] = await Promise.all([
      import('../uninstall.ts'),
      import('../kernel/linux.ts'),
      import('../kernel/netns/thread-pool.ts'),
    ])
    await warmThreadPool()
    using kernel = new LinuxKernel()
    await uninstall({ settings, net: kernel.net, force, say })
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
