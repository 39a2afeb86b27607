/**
 * Removes everything the daemon made on this node: the conflist, pods' devices, the anchor and overlay, routes,
 * attached programs, changes of sysctls, pins and files. What fails is reported at the end; the rest is removed all the
 * same.
 */
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { removeConflist } from './api/conflist.ts'
import { putBack } from './api/other-confs.ts'
import { claimSocket } from './api/socket.ts'
import type { Settings } from './config/schema.ts'
import { removeAnchor } from './datapath/blocks.ts'
import { removePins } from './datapath/bpffs.ts'
import { removeDeviceHooks } from './datapath/device-hooks.ts'
import { restoreSysctls } from './datapath/former-sysctls.ts'
import { removeOverlay } from './datapath/overlay.ts'
import { isPodDevice } from './datapath/pod-device.ts'
import { tellManagers } from './datapath/unmanaged-nics.ts'
import { CausewayError, messageOf } from './errors.ts'
import { CAUSEWAY_PROTOCOL, type Kernel, type Net } from './kernel/kernel.ts'

export type UninstallSettings = Pick<Settings, 'paths' | 'cni'>

export interface UninstallOptions {
  readonly settings: UninstallSettings
  readonly kernel: Pick<Kernel, 'net' | 'bootId' | 'sysctl' | 'setSysctl'>
  /** Also when pods are attached, which lose their network. */
  readonly force: boolean
  readonly say: (line: string) => void
  /** Ends it between two steps; its reason is thrown. What is left goes with the next one. */
  readonly signal: AbortSignal
}

/** A link group of its own, so that pods' devices go in one grace period. */
const DOOMED_GROUP = 0xca05

/** Throws ApiInUse while a daemon runs, CausewayError PODS_ATTACHED without force, AggregateError for what failed. */
export async function uninstall(options: UninstallOptions): Promise<void> {
  const { settings, kernel, say, signal } = options
  const pods = kernel.net.links().filter(l => isPodDevice(l.name))
  if (pods.length > 0 && !options.force) {
    throw new CausewayError(
      'PODS_ATTACHED',
      `${pods.length} pods are attached and would lose their network: drain the node, or use --force`,
    )
  }
  // Held while removing, so that no daemon starts in between.
  using _claim = claimSocket(settings.paths.run)
  const failures: Error[] = []
  const names = pods.map(p => p.name)
  for (const [what, remove] of steps(settings, kernel, names)) {
    signal.throwIfAborted()
    try {
      await remove()
      say(`removed ${what}`)
    } catch (cause) {
      failures.push(new Error(`removing ${what} failed: ${messageOf(cause)}`, { cause }))
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(f => f.message).join('\n'))
}

type Step = readonly [string, () => Promise<void> | void]

/** In an order that never leaves a device with a program that points nowhere. */
function steps(
  settings: UninstallSettings,
  kernel: UninstallOptions['kernel'],
  pods: readonly string[],
): readonly Step[] {
  const { paths, cni } = settings
  const { net } = kernel
  const links = join(paths.bpf, 'links')
  return [
    [`the network configuration in ${paths.cniConf}`, () => removeConf(paths.cniConf, cni.confName)],
    [`devices of ${pods.length} pods`, () => removePods(net, pods)],
    ['programs on uplinks and the overlay', () => removeDeviceHooks(net, links)],
    ['the overlay device', () => removeOverlay(net)],
    ['the anchor pair and its tc blocks', () => removeAnchor(net)],
    ['routes', () => removeRoutes(net)],
    ['routing rules', () => removeRules(net)],
    [`what managers of the host's network are told`, () => tellManagers(paths, [])],
    ['changes of sysctls', () => restoreSysctls(kernel, paths.state)],
    [`pins in ${paths.bpf}`, () => removePins(paths.bpf)],
    [`the state in ${paths.state}`, () => removeFolder(paths.state)],
    // Last and in one go: with it goes the lock that keeps daemons from starting.
    [`the run directory ${paths.run}`, () => removeFolder(paths.run)],
  ]
}

/** With all that is in it, in one go. One that is mounted into a container stays there empty. */
function removeFolder(path: string): void {
  if (!existsSync(path)) return
  for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true, force: true })
  try {
    rmdirSync(path)
  } catch (error) {
    if (!['EBUSY', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** Others' come back before ours goes: there is one at every moment. */
async function removeConf(directory: string, own: string): Promise<void> {
  putBack(directory)
  await removeConflist(directory, own)
}

async function removePods(net: Net, pods: readonly string[]): Promise<void> {
  if (pods.length === 0) return
  net.run(pods.map(link => ({ op: 'link-set', link, group: DOOMED_GROUP })))
  await net.runBlocking([{ op: 'group-delete', group: DOOMED_GROUP }])
}

function removeRules(net: Net): void {
  const rules = net.rules().filter(rule => rule.protocol === CAUSEWAY_PROTOCOL)
  if (rules.length > 0) net.run(rules.map(rule => ({ op: 'rule-delete', rule })))
}

function removeRoutes(net: Net): void {
  const routes = net.routes(CAUSEWAY_PROTOCOL)
  if (routes.length > 0) net.run(routes.map(route => ({ op: 'route-delete', route })))
}
