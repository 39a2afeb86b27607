/** All checks in their order: what would stop the daemon on this node, before anything changes. */
import { ownMissingCapabilities } from '../capabilities.ts'
import type { Config } from '../config/load.ts'
import { familiesOf } from '../config/schema.ts'
import { OBJECT_DIRECTORY } from '../datapath/objects.ts'
import { applySysctls, desiredSysctls, reservedNodePorts } from '../datapath/sysctls.ts'
import { messageOf } from '../errors.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { createLogger } from '../observe/log.ts'
import { createMetrics } from '../observe/metrics.ts'
import { buildInfo } from '../observe/build.ts'
import { type EnabledPlugin, type RunningPlugins, setUpPlugins } from '../run.ts'
import { requirePool } from '../slots.ts'
import { createTables } from '../state/tables.ts'
import { type Finding, ok, problem } from './finding.ts'
import { checkCapabilities, checkKernel } from './machine.ts'
import { checkDevices, checkOtherCnis } from './neighbours.ts'
import { checkBpffs, checkCgroup, checkDirectories, checkSysctls } from './places.ts'
import { checkPrograms } from './programs.ts'

export interface PreflightOptions {
  readonly config: Config
  /** Those that the configuration enables. */
  readonly plugins: readonly EnabledPlugin[]
  /** Not called by a process that may not open it. */
  readonly openKernel: () => Kernel & Disposable
  readonly signal: AbortSignal
}
type Checked = Omit<PreflightOptions, 'openKernel'> & { readonly kernel: Kernel }

/** Rejects when the signal aborts. */
export async function preflight(options: PreflightOptions): Promise<Finding[]> {
  const { config, openKernel, signal } = options
  const findings = [...checkCapabilities(ownMissingCapabilities())]
  // What a process may not try, it cannot find out.
  if (findings.some(f => f.state === 'problem')) return [...findings, ...withoutRights(config)]
  using kernel = openKernel()
  findings.push(...checkKernel(kernel, config), ...withoutRights(config), ...checkDevices(kernel.net, config))
  const checked = { ...options, kernel }
  await using stack = new AsyncDisposableStack()
  try {
    const plugins = stack.use(await setUp(checked))
    findings.push(ok('plugins', [...plugins.parts.keys()].join(', ')))
    findings.push(...checkSysctls(config, sysctlsToSet(checked, plugins)))
    signal.throwIfAborted()
    findings.push(
      ...(await checkPrograms({ ...wantedOf(plugins), kernel, settings: config, objects: OBJECT_DIRECTORY })),
    )
  } catch (error) {
    signal.throwIfAborted()
    findings.push(problem('plugins', messageOf(error), 'change their sections of the configuration'))
  }
  return findings
}

function withoutRights(config: Config): Finding[] {
  return [...checkBpffs(config), ...checkCgroup(config), ...checkDirectories(config), ...checkOtherCnis(config)]
}

/** Plugins validate and allocate at set-up and begin nothing: over tables and metrics that are forgotten. */
async function setUp({ config, plugins, kernel, signal }: Checked): Promise<RunningPlugins> {
  const metrics = createMetrics(buildInfo())
  const tables = createTables()
  const log = createLogger('error')
  const offered = { metrics, kernel, tables, nodeName: config.nodeName, families: familiesOf(config) }
  const hostFor = (name: string) => ({ ...offered, log: log.child(name) })
  const running = await setUpPlugins({ plugins, hostFor, signal })
  try {
    requirePool(running.slots, config.network.pool, 'network.pool')
    return running
  } catch (error) {
    await running[Symbol.asyncDispose]()
    throw error
  }
}

function wantedOf({ slots, parts }: RunningPlugins) {
  return {
    constants: Object.fromEntries([...slots.constants].map(([name, { part }]) => [name, part])),
    overlay: [...parts.values()].some(p => p.datapath?.overlay === true),
  }
}

/** Names of those that have other values; of uplinks, which a first start has yet to find, none. */
function sysctlsToSet({ kernel, config }: Checked, plugins: RunningPlugins): string[] {
  const reading = { sysctl: (name: string) => kernel.sysctl(name), setSysctl: () => undefined }
  const desired = [...desiredSysctls(familiesOf(config), [], wantedOf(plugins).constants), ...reservedNodePorts(kernel)]
  return applySysctls(reading, desired).map(({ name }) => name)
}
