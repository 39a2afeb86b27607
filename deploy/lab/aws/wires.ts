/** The VPC's end of the lab's wires: its router between the machines' ports and the bridge of the host outside. */
import type { Kernel } from '../../../daemon/kernel/kernel.ts'
import type { LabLayout, NodeLayout } from '../layout.ts'
import { routesInto } from './ports.ts'
import { BORDER, machineOf, vpcOf } from './vpc.ts'

/** The VPC as what is plugged into the bridge beside the host outside. */
export function borderOf(lab: LabLayout) {
  return { ...vpcOf(lab), addresses: BORDER, far: false }
}

/** What makes it a router, and leads hosts outside to the machines. The ports are EC2's to make. */
export function openVpc(lab: LabLayout, nodes: readonly NodeLayout[], kernel: Kernel): void {
  const { netns } = vpcOf(lab)
  kernel.setSysctl('net.ipv4.ip_forward', '1', netns)
  // Neighbours in a subnet do not see each other's ports: nobody is told of a shorter way.
  kernel.setSysctl('net.ipv4.conf.all.send_redirects', '0', netns)
  for (const host of [lab.outside, lab.control]) {
    using net = kernel.openNet(host.netns)
    net.run(routesInto(nodes.map(machineOf), BORDER))
  }
}
