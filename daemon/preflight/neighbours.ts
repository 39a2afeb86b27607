/** Others on the node that may be in the way. */
import type { Settings } from '../config/schema.ts'
import { otherConfs } from '../api/other-confs.ts'
import { ANCHOR, refuseForeignUse } from '../datapath/blocks.ts'
import { OVERLAY_DEVICE } from '../datapath/paths.ts'
import { messageOf } from '../errors.ts'
import type { LinkInfo, Net } from '../kernel/kernel.ts'
import { type Finding, note, ok, problem } from './finding.ts'

export function checkOtherCnis({ paths, cni }: Pick<Settings, 'paths' | 'cni'>): Finding[] {
  const check = 'network configurations'
  const others = otherConfs(paths.cniConf, cni.confName)
  if (others.length === 0) return [ok(check, `${paths.cniConf} has none but ours`)]
  const names = others.join(', ')
  if (!cni.writeConf) return [note(check, `${names} in ${paths.cniConf}: the daemon writes none (cni.writeConf)`)]
  if (cni.exclusive) return [note(check, `${names} in ${paths.cniConf} will be set aside (cni.exclusive)`)]
  const first = others.filter(name => name < cni.confName)
  if (first.length === 0)
    return [note(check, `${names} in ${paths.cniConf}: runtimes take ${cni.confName}, which comes first`)]
  const wayOut = `remove ${first.join(', ')}, let cni.exclusive set them aside, or choose a cni.confName that comes first`
  return [problem(check, `runtimes take ${first[0]} in ${paths.cniConf}, which comes before ${cni.confName}`, wayOut)]
}

export function checkDevices(
  net: Pick<Net, 'links' | 'link' | 'qdiscs'>,
  { datapath, routing }: Pick<Settings, 'datapath' | 'routing'>,
): Finding[] {
  const blocks = { ingress: datapath.ingressBlock, egress: datapath.egressBlock }
  const found: Finding[] = []
  try {
    refuseForeignUse(net, blocks)
  } catch (error) {
    found.push(problem('devices', messageOf(error), 'set datapath.ingressBlock and datapath.egressBlock'))
  }
  for (const [name, kind] of [
    [ANCHOR, 'veth'],
    [OVERLAY_DEVICE, 'vxlan'],
  ] as const) {
    const taken = net.link(name)
    if (taken !== undefined && taken.kind !== kind)
      found.push(
        problem('devices', `${name} is a ${taken.kind || 'physical'} device`, 'rename or remove it: the name is ours'),
      )
  }
  if (routing.mode !== 'native') found.push(...portUsers(net.links(), routing.overlay.port))
  return found.length > 0
    ? found
    : [ok('devices', `blocks ${blocks.ingress} and ${blocks.egress} and our names are free`)]
}

/** A device that takes tunnel keys from packets shares its UDP port with no other (drivers/net/vxlan, vxlan_find_sock). */
function portUsers(links: readonly LinkInfo[], port: number): Finding[] {
  return links
    .filter(({ name, vxlan }) => name !== OVERLAY_DEVICE && vxlan?.port === port)
    .map(({ name }) =>
      problem('devices', `${name} has UDP port ${port}`, `remove it, or set routing.overlay.port on all nodes`),
    )
}
