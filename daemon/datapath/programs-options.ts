/** How sets of programs are loaded and attached on this node. */
import { attachBlocks, type Blocks } from './blocks.ts'
import type { PinDirectories } from './bpffs.ts'
import type { ProgramConstants } from './constants.ts'
import type { DatapathOptions, DatapathSettings } from './datapath.ts'
import { type DeviceHook, DeviceHooks } from './device-hooks.ts'
import { firstSizes } from './map-sizes.ts'
import { loadProgramSet, type ProgramSet } from './program-set.ts'
import type { ProgramsOptions, Sizes } from './programs.ts'
import { SocketHooks } from './socket-hooks.ts'
import type { XdpHooks } from './xdp-hooks.ts'

export function programsOptions(
  options: DatapathOptions,
  pins: PinDirectories,
  { tcx, xdp }: { readonly tcx: boolean; readonly xdp: XdpHooks },
): ProgramsOptions<ProgramSet> {
  const { kernel, settings, objects, log } = options
  const hooks = new DeviceHooks(kernel.net, { tcx, directory: pins.links })
  const sockets = new SocketHooks(pins.sockets)
  return {
    log,
    load: async (constants: ProgramConstants, sizes: Sizes): Promise<ProgramSet> =>
      await loadProgramSet({
        objects,
        pins: pins.maps,
        constants,
        sizes: { ...firstSizes(settings), ...sizes },
      }),
    attachPods: (set: ProgramSet): void => {
      const programFd = (name: string): number => set.programFd(name)
      attachBlocks(kernel.net, blocksOf(settings), { podOut: programFd('pod_out'), podIn: programFd('pod_in') })
      sockets.apply(settings.services.socket ? settings.paths.cgroup : undefined, programFd)
    },
    attachDevices: async (set: ProgramSet, wanted: readonly DeviceHook[]): Promise<void> => {
      await hooks.apply(wanted, name => set.programFd(name))
      const uplinks = wanted.filter(hook => hook.program === 'uplink_in').map(hook => hook.device)
      await xdp.apply(uplinks, set.programFd('uplink_xdp'))
    },
  }
}

/** The shared blocks of pods' devices. */
export function blocksOf(settings: DatapathSettings): Blocks {
  return { ingress: settings.datapath.ingressBlock, egress: settings.datapath.egressBlock }
}
