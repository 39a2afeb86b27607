/** Runs a daemon with the settings that the cluster has for its node, and again when they change. */
import { join } from 'node:path'
import type { Refusal } from './cluster-side.ts'
import { askSettings, keepSettings, keptSettings } from './cluster/kubernetes/ask-settings.ts'
import { connectApi } from './cluster/kubernetes/connect.ts'
import type { Config, LoadedConfig, SettingsLayer } from './config/load.ts'
import { isConfigError, messageOf } from './errors.ts'
import { buildInfo } from './observe/build.ts'
import { createLogger } from './observe/log.ts'

export interface SettledRun {
  /** The configuration with these layers over its file. Throws ConfigError, also for what plugins refuse. */
  readonly load: (layers: readonly SettingsLayer[]) => Promise<LoadedConfig>
  readonly run: (config: Config, signal: AbortSignal, refusal: Refusal) => Promise<'stopped' | 'changed'>
}

/** Until the signal aborts. Throws what the configuration without settings of the cluster, or the daemon, throws. */
export async function runWithSettings({ load, run }: SettledRun, signal: AbortSignal): Promise<void> {
  const refusal = refusalBy(load)
  for (;;) {
    const base = await load([])
    const settled = await unlessStopped(withSettings(base, load, signal), signal)
    if (settled === undefined) return
    try {
      if ((await run(settled.config, signal, refusal)) === 'stopped') return
    } catch (error) {
      throw isConfigError(error) ? settled.explain(error) : error
    }
  }
}

/** To be told to stop is no failure: undefined. */
async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error
    return undefined
  }
}

/** What loading a configuration says of layers. */
export function refusalBy(load: SettledRun['load']): Refusal {
  return async layers => {
    try {
      await load(layers)
      return undefined
    } catch (error) {
      return messageOf(error)
    }
  }
}

/**
 * Where the cluster does not say what is for this node, or says what cannot be used, what was used last counts; the daemon
 * that follows the settings tells of it.
 */
async function withSettings(base: LoadedConfig, load: SettledRun['load'], signal: AbortSignal): Promise<LoadedConfig> {
  const { cluster, paths, nodeName, logLevel } = base.config
  if (cluster.source !== 'kubernetes') return base
  const log = createLogger(logLevel).child('settings')
  const keptFile = join(paths.state, 'node-settings.json')
  const metrics = { requested: () => undefined }
  using api = await connectApi({ settings: cluster.kubernetes, build: buildInfo(), log, metrics })
  const used = async (layers: readonly SettingsLayer[]): Promise<LoadedConfig | undefined> => {
    try {
      return layers.length === 0 ? base : await load(layers)
    } catch (error) {
      log.error({ nodeSettings: namesOf(layers), error }, 'the NodeSettings of this node cannot be used')
      return undefined
    }
  }
  const asked = await askSettings({ client: api.client, nodeName, log }, signal)
  const loaded = asked && (await used(asked))
  if (asked === undefined || loaded === undefined) {
    const kept = keptSettings(keptFile)
    log.warn({ nodeSettings: namesOf(kept) }, 'the NodeSettings of the last time count')
    return (await used(kept)) ?? base
  }
  try {
    keepSettings(keptFile, asked)
  } catch (error) {
    log.warn({ file: keptFile, error: messageOf(error) }, 'the NodeSettings of this node could not be kept')
  }
  return loaded
}

function namesOf(layers: readonly SettingsLayer[]): string {
  return layers.map(({ name }) => name).join(', ')
}
