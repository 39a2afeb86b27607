/** What the programs are to be with the node's devices and the configuration, and the overlay device that they need. */
import { familiesOf } from '../config/schema.ts'
import { possibleCpus } from '../kernel/bpf/map-info.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { netnsCookie } from '../kernel/netns/netns-cookie.ts'
import { type PortRange, programConstants, steadySets } from './constants.ts'
import type { DatapathOptions, DatapathSettings } from './datapath.ts'
import type { DeviceHook } from './device-hooks.ts'
import { ensureOverlay } from './overlay.ts'
import type { PathPlanner } from './path-planner.ts'
import type { ProgramPlan } from './programs.ts'

/** Makes or adjusts the overlay device where there is one, and says what the programs are to be with it. */
export function planPrograms(options: DatapathOptions, planner: PathPlanner): ProgramPlan {
  const { kernel, settings, tables, constants } = options
  const { routing, datapath } = settings
  const { port, vni } = routing.overlay
  const hooks = [...tables.uplinks.values()].flatMap(({ index: device }): DeviceHook[] => [
    { program: 'uplink_in', device },
    { program: 'uplink_out', device },
  ])
  const silent = settings.services.withoutBackend === 'drop'
  const common = {
    datapath,
    silent,
    formerPods: routing.formerRanges.length > 0,
    clientPorts: clientPorts(kernel),
    dsr: { ...dsrOf(settings), vni },
    hostNetns: netnsCookie(),
    steadySets: steadySets(possibleCpus()),
  }
  if (!hasOverlay(options)) return { hooks, constants: { ...programConstants(common), ...constants } }
  const families = familiesOf(settings)
  const wanted = { port, families, mtu: planner.mtu.overlay, provisional: !planner.informed }
  const { index, mtu } = ensureOverlay(kernel.net, wanted)
  hooks.push({ program: 'overlay_in', device: index }, { program: 'overlay_out', device: index })
  const overlay = { ifindex: index, mtu, vni, port }
  return { hooks, constants: { ...programConstants({ ...common, overlay }), ...constants } }
}

/** With native routing only what a plugin sends through it goes there. */
export function hasOverlay({ settings, overlay }: DatapathOptions): boolean {
  return settings.routing.mode !== 'native' || overlay === true
}

/** By option on links and in the overlay, where nobody looks at it; through a network's own routers as UDP. */
function dsrOf({ services: { dsr }, routing }: DatapathSettings) {
  const { dispatch, port } = dsr
  return { dispatch: dispatch !== 'auto' ? dispatch : routing.mode === 'native' ? 'geneve' : 'option', port } as const
}

/** Where the node's own sockets take their source ports from. */
function clientPorts(kernel: Kernel): PortRange | undefined {
  const [first, last] = (kernel.sysctl('net.ipv4.ip_local_port_range') ?? '').split(/\s+/).map(Number)
  return first === undefined || last === undefined ? undefined : { first, last }
}
