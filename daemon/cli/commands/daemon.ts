/** `causeway daemon` and `causeway operator`: the programs that go on until they are told to stop. */
import type { LoadedConfig, SettingsLayer } from '../../config/load.ts'
import { isConfigError } from '../../errors.ts'
import { type CommandContext, type CommandSpec, configOptions } from '../command.ts'
import { loadWith } from '../programs.ts'

/** A stop that takes longer has gone wrong; pods keep their network all the same. */
const STOP_MS = 9500

export const daemon: CommandSpec = {
  name: 'daemon',
  summary: 'Run the daemon of this node.',
  about: 'SIGTERM and SIGINT stop it within 10 s, a second one at once. Traffic goes on without it.',
  options: configOptions,
  run: context =>
    untilStopped(context, 'daemon', () =>
      context.programs.runDaemon(layers => loadOf(context, layers), context.signal),
    ),
}

export const operator: CommandSpec = {
  name: 'operator',
  summary: 'Run the operator of the cluster.',
  about:
    'Assigns pod ranges to nodes, marks nodes whose network is ready, and says in Events what is wrong. Of several one ' +
    'leads, the others wait. It needs cluster.source: kubernetes. Nodes and pods go on without it.',
  options: configOptions,
  run: context =>
    untilStopped(context, 'operator', () =>
      context.programs.runOperator(layers => loadOf(context, layers), context.signal),
    ),
}

async function loadOf(
  { options, env, programs }: CommandContext,
  layers: readonly SettingsLayer[],
): Promise<LoadedConfig> {
  const loaded = await loadWith(programs, { file: options.text('config'), set: options.texts('set'), layers }, env)
  // What plugins say of their own sections is found out when they are set up.
  if (layers.length > 0) await explained(loaded, () => programs.checkPlugins(loaded.config))
  return loaded
}

/** A ConfigError of `work` with the place of its key added. */
async function explained(loaded: LoadedConfig, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw isConfigError(error) ? loaded.explain(error) : error
  }
}

async function untilStopped(
  { signal, err }: CommandContext,
  what: 'daemon' | 'operator',
  run: () => Promise<void>,
): Promise<number> {
  let limit: NodeJS.Timeout | undefined
  // Not kept alive by it, a process that ends in good order never sees its end. One that something a plugin left
  // behind keeps alive would otherwise serve nothing for ever, and nobody would start it anew.
  const mustEnd = (): void => {
    limit ??= setTimeout(() => {
      err(`causeway: the ${what} did not stop within ${STOP_MS} ms and ends now\n`)
      process.exit(1)
    }, STOP_MS).unref()
  }
  signal.addEventListener('abort', mustEnd, { once: true })
  try {
    await run()
    return 0
  } finally {
    mustEnd()
    signal.removeEventListener('abort', mustEnd)
  }
}
