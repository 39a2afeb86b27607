/** What the programs are to be with the node's devices and the configuration, and the overlay device that they need. */
import { familiesOf } from '../config/schema.ts'
import { possibleCpus } from '../kernel/bpf/map-info.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { netnsCookie } from '../kernel/netns/netns-cookie.ts'
import { type PortRange, type ProgramConstants, programConstants, steadySets } from './constants.ts'
import type { DatapathOptions, DatapathSettings } from './datapath.ts'
import type { DeviceHook } from './device-hooks.ts'
import { ensureOverlay, type Overlay } from './overlay.ts'
import type { PathPlanner } from './path-planner.ts'
import type { ProgramPlan } from './programs.ts'

/** Makes or adjusts the overlay device where there is one, and says what the programs are to be with it. */
export function planPrograms(options: DatapathOptions, planner: PathPlanner): ProgramPlan {
  const { kernel, settings, tables } = options
  const { port } = settings.routing.overlay
  const hooks = [...tables.uplinks.values()].flatMap(({ index: device }): DeviceHook[] => [
    { program: 'uplink_in', device },
    { program: 'uplink_out', device },
  ])
  const { nativeNetwork } = planner
  const facts = { nativeNetwork, nics: planner.nics }
  if (!hasOverlay(options)) return { hooks, constants: constantsOf(options, undefined, facts) }
  const families = familiesOf(settings)
  const wanted = { port, families, mtu: planner.mtu.overlay, provisional: !planner.informed }
  const overlay = ensureOverlay(kernel.net, wanted)
  hooks.push({ program: 'overlay_in', device: overlay.index }, { program: 'overlay_out', device: overlay.index })
  return { hooks, constants: constantsOf(options, overlay, facts) }
}

/** What the programs are loaded with, those of plugins over ours. */
export function constantsOf(
  { kernel, settings, constants }: Pick<DatapathOptions, 'kernel' | 'settings' | 'constants'>,
  overlay: Overlay | undefined,
  { nativeNetwork, nics = false }: { readonly nativeNetwork?: string | undefined; readonly nics?: boolean } = {},
): ProgramConstants {
  const { routing, datapath, services } = settings
  const { port, vni } = routing.overlay
  const own = programConstants({
    datapath,
    silent: services.withoutBackend === 'drop',
    formerPods: routing.formerRanges.length > 0,
    clientPorts: clientPorts(kernel),
    ...(nics ? { nics: routing.cloudEgress } : {}),
    dsr: { ...dsrOf(settings, nativeNetwork), vni },
    hostNetns: netnsCookie(),
    steadySets: steadySets(possibleCpus()),
    ...(overlay === undefined ? {} : { overlay: { ifindex: overlay.index, mtu: overlay.mtu, vni, port } }),
  })
  return { ...own, ...constants }
}

/** With native routing only what a plugin sends through it goes there. */
export function hasOverlay({ settings, overlay }: Pick<DatapathOptions, 'settings' | 'overlay'>): boolean {
  return settings.routing.mode !== 'native' || overlay === true
}

/** By option on links and in the overlay, where nobody looks at it; through a network's own routers as UDP. */
export function dsrOf(
  { services: { dsr }, routing }: Pick<DatapathSettings, 'services' | 'routing'>,
  nativeNetwork: string | undefined,
) {
  const { dispatch, port } = dsr
  const routed = routing.mode === 'native' || (routing.mode === 'auto' && nativeNetwork !== undefined)
  return { dispatch: dispatch !== 'auto' ? dispatch : routed ? 'geneve' : 'option', port } as const
}

/** Where the node's own sockets take their source ports from. */
function clientPorts(kernel: Kernel): PortRange | undefined {
  const [first, last] = (kernel.sysctl('net.ipv4.ip_local_port_range') ?? '').split(/\s+/).map(Number)
  return first === undefined || last === undefined ? undefined : { first, last }
}
