/** The parts of the daemon that the command line starts, behind an interface so that tests need not start them. */
import type { InstalledDefinition } from '../cluster/kinds/installed.ts'
import type { Config, ConfigInput, LoadedConfig } from '../config/load.ts'
import { loadConfig } from '../config/load.ts'
import { isConfigError } from '../errors.ts'
import type { NodeMount } from '../kernel/node-mounts.ts'
import type { SettledRun } from '../node-settings.ts'
import type { Plugin } from '../plugin.ts'
import type { Finding } from '../preflight/finding.ts'
import type { SimulationReport } from '../../plugins/cloud-core/simulate/report.ts'
import type { Scenario } from '../../plugins/cloud-core/simulate/scenario.ts'
import type { UninstallOptions, UninstallSettings } from '../uninstall.ts'

export interface Programs {
  plugins(): Promise<readonly Plugin[]>
  /** Loads the configuration by `load` and runs the daemon with it until the signal aborts. */
  runDaemon(load: SettledRun['load'], signal: AbortSignal): Promise<void>
  /** The same for the operator, which asks of other layers what daemons would say of them. */
  runOperator(load: SettledRun['load'], signal: AbortSignal): Promise<void>
  /** What the daemon finds out about the plugins before it sets them up; throws ConfigError. */
  checkPlugins(config: Config): Promise<void>
  /** Whether the daemon would run here; rejects when the signal aborts. */
  preflight(config: Config, signal: AbortSignal): Promise<readonly Finding[]>
  /** Whether the cluster has the definitions of the own kinds; throws ConfigError when the configuration names none. */
  installedDefinitions(config: Config, signal: AbortSignal): Promise<readonly InstalledDefinition[]>
  /** Puts the CNI executable into a directory of the node; whether it was not there already. */
  install(directory: string): Promise<boolean>
  /** Mounts on the node what it lacks, and tells what that was; the process is then in the node's mount namespace. */
  mountOnNode(proc: string, wanted: readonly NodeMount[]): Promise<readonly NodeMount[]>
  /** Runs a scenario of addresses from a cloud, and beside it what others do; rejects when the signal aborts. */
  simulate(scenario: Scenario, options: SimulateOptions): Promise<Simulated>
  /** What the operator must be allowed in a cloud, as the cloud's own tool takes it: JSON or YAML. */
  permissions(cloud: 'aws' | 'azure' | 'gcp', of: PermissionsFor): Promise<string>
  uninstall(settings: UninstallSettings, options: UninstallProgress): Promise<void>
}
/** Each cloud takes of it what it knows. */
export interface PermissionsFor {
  /** Name of the cluster: only its own things may be changed. */
  readonly cluster?: string
  readonly roleArns: readonly string[]
  readonly scopes: readonly string[]
}
export interface SimulateOptions {
  readonly compare: boolean
  readonly signal: AbortSignal
  /** Progress for people. */
  readonly say: (text: string) => void
}
export interface Simulated {
  readonly report: SimulationReport
  /** A picture of it. */
  readonly svg: string
}
export type UninstallProgress = Pick<UninstallOptions, 'force' | 'say' | 'signal'>

/** The real ones, loaded when they are first needed: most commands only speak to a running daemon. */
export const realPrograms: Programs = {
  async plugins() {
    return (await import('../main.ts')).plugins
  },
  async runDaemon(load, signal) {
    const [{ runDaemon }, { runWithSettings }] = await Promise.all([
      import('../main.ts'),
      import('../node-settings.ts'),
    ])
    await runWithSettings({ load, run: runDaemon }, signal)
  },
  async runOperator(load, signal) {
    const [{ runOperator }, { refusalBy }] = await Promise.all([
      import('../operator.ts'),
      import('../node-settings.ts'),
    ])
    const { config, explain } = await load([])
    try {
      await runOperator(config, refusalBy(load), signal)
    } catch (error) {
      throw isConfigError(error) ? explain(error) : error
    }
  },
  async simulate(scenario, options) {
    return await (await import('../../plugins/cloud-core/simulate/simulate.ts')).simulate(scenario, options)
  },
  async permissions(cloud, { scopes, ...of }) {
    switch (cloud) {
      case 'aws':
        return (await import('../../plugins/aws-eni/permissions.ts')).awsPermissions(of)
      case 'azure':
        return (await import('../../plugins/azure/permissions.ts')).azurePermissions(
          scopes.length === 0 ? {} : { scopes },
        )
      case 'gcp':
        return (await import('../../plugins/gcp/permissions.ts')).gcpPermissions()
    }
  },
  async checkPlugins(config) {
    const [{ plugins }, { loadPlugins }, { configurePlugins }] = await Promise.all([
      import('../main.ts'),
      import('../load-plugins.ts'),
      import('../run.ts'),
    ])
    configurePlugins(await loadPlugins(config, plugins))
  },
  async preflight(config, signal) {
    const [{ plugins }, { loadPlugins }, { preflight }, { LinuxKernel }, { warmThreadPool }] = await Promise.all([
      import('../main.ts'),
      import('../load-plugins.ts'),
      import('../preflight/preflight.ts'),
      import('../kernel/linux.ts'),
      import('../kernel/netns/thread-pool.ts'),
    ])
    await warmThreadPool()
    const openKernel = () => new LinuxKernel({ sysctls: config.paths.sysctl })
    return await preflight({ config, plugins: await loadPlugins(config, plugins, { signal }), openKernel, signal })
  },
  async installedDefinitions({ cluster, logLevel }, signal) {
    const [{ connectApi }, { installedDefinitions }, { buildInfo }, { createLogger }] = await Promise.all([
      import('../cluster/kubernetes/connect.ts'),
      import('../cluster/kinds/installed.ts'),
      import('../observe/build.ts'),
      import('../observe/log.ts'),
    ])
    const metrics = { requested: () => undefined }
    const log = createLogger(logLevel === 'info' ? 'warn' : logLevel)
    using api = await connectApi({ settings: cluster.kubernetes, build: buildInfo(), log, metrics })
    return await installedDefinitions(api.client, signal)
  },
  async install(directory) {
    const { CNI_EXECUTABLE, installExecutable } = await import('../api/install.ts')
    return installExecutable(CNI_EXECUTABLE, directory)
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
    using kernel = new LinuxKernel({ sysctls: settings.paths.sysctl })
    await uninstall({ ...options, settings, kernel })
  },
}

/** Loads the configuration the way every command that needs all of it does. */
export async function loadWith(
  programs: Programs,
  input: Pick<ConfigInput, 'file' | 'set' | 'layers'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LoadedConfig> {
  const plugins = await programs.plugins()
  return loadConfig({ pluginNames: plugins.map(plugin => plugin.name), env, ...input })
}
