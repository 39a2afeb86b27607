/**
 * Ports of the VPC: for each attached interface a pair of devices, one end in the machine with the interface's MAC, the
 * other in the VPC's namespace, which routes the interface's addresses and blocks to it. What comes from a port must have
 * a source that is routed to that port (ip-sysctl, rp_filter 1), as EC2's source check demands.
 */
import type { Kernel, Net, NetRequest, Prefix } from '../../../daemon/kernel/kernel.ts'
import { hostPrefix, parsePrefix } from '../../../daemon/kernel/ip.ts'
import { deviceSysctl } from '../../../daemon/kernel/sysctl-name.ts'
import type { SeenNic } from '../../../plugins/cloud-core/model.ts'
import { bare } from '../layout.ts'
import { gatewayOf, type Machine, subnetOf } from './vpc.ts'

/** RTPROT_STATIC: an administrator's route. */
const STATIC = 4

export interface PortsOptions {
  readonly kernel: Kernel
  /** Of the VPC. */
  readonly netns: string
  readonly machines: readonly Machine[]
}

export class Ports implements Disposable {
  readonly #options: PortsOptions
  readonly #net: Net
  /** Interfaces with a port, and what is routed to it. */
  readonly #routed = new Map<string, readonly Prefix[]>()

  constructor(options: PortsOptions) {
    this.#options = options
    this.#net = options.kernel.openNet(options.netns)
  }

  [Symbol.dispose](): void {
    this.#net[Symbol.dispose]()
  }

  /** The first interface of a machine, with the address and the routes that DHCP would give it. */
  boot(id: string, nic: SeenNic): void {
    const { kernel, machines } = this.#options
    this.plug(id, nic)
    const { netns = '' } = machines.find(machine => machine.id === id) ?? {}
    const { cidr } = subnetOf(nic.subnet)
    const link = deviceName(nic)
    using net = kernel.openNet(netns)
    net.run([
      { op: 'link-set', link: 'lo', up: true },
      { op: 'link-set', link, up: true },
      ...nic.addresses.map((a): NetRequest => {
        return { op: 'address-add', link, address: `${a}/${parsePrefix(cidr).length}` }
      }),
      { op: 'route-add', route: { dst: '0.0.0.0/0', via: gatewayOf(cidr), link, protocol: STATIC } },
    ])
  }

  /** The machine gets a device, which is down and has no address. */
  plug(id: string, nic: SeenNic): void {
    const { kernel, netns, machines } = this.#options
    const machine = machines.find(each => each.id === id)
    if (machine === undefined) throw new Error(`there is no machine ${id}`)
    const peer = { name: deviceName(nic), netns: machine.netns, mac: nic.mac }
    this.#net.run([{ op: 'link-add', link: { kind: 'veth', name: nic.id, addrGenMode: 'none', peer } }])
    for (const [name, value] of [
      [deviceSysctl(4, nic.id, 'rp_filter'), '1'],
      // Neighbours in a subnet ask for each other, and reach each other by the VPC.
      [deviceSysctl(4, nic.id, 'proxy_arp'), '1'],
      [`net.ipv4.neigh.${nic.id}.proxy_delay`, '0'],
    ] as const)
      kernel.setSysctl(name, value, netns)
    const gateway = hostPrefix(gatewayOf(subnetOf(nic.subnet).cidr))
    this.#net.run([
      { op: 'link-set', link: nic.id, up: true },
      { op: 'address-add', link: nic.id, address: gateway },
    ])
    this.#routed.set(nic.id, [])
    this.route(nic)
  }

  /** What is routed to an interface, if it has a port. A VPC asks nobody where an address is: it knows the interface's MAC. */
  route({ id, mac, addresses, blocks }: SeenNic): void {
    const before = this.#routed.get(id)
    if (before === undefined) return
    const wanted = [...addresses.map(hostPrefix), ...blocks]
    const [own = ''] = addresses
    const routeTo = (dst: Prefix) => {
      const via = dst === hostPrefix(own) ? {} : { via: own, onlink: true }
      return { dst, link: id, protocol: STATIC, ...via }
    }
    this.#net.run([
      { op: 'neighbour-add', link: id, address: own, mac, replace: true },
      ...before
        .filter(prefix => !wanted.includes(prefix))
        .map((prefix): NetRequest => ({ op: 'route-delete', route: routeTo(prefix) })),
      ...wanted
        .filter(prefix => !before.includes(prefix))
        .map((prefix): NetRequest => ({ op: 'route-add', route: routeTo(prefix), replace: true })),
    ])
    this.#routed.set(id, wanted)
  }

  /** The machine loses the device, and the VPC the routes with the port. */
  unplug({ id }: SeenNic): void {
    this.#routed.delete(id)
    this.#net.run([{ op: 'link-delete', link: id }])
  }
}

/** As the kernel would count them. */
function deviceName({ index }: SeenNic): string {
  return `eth${index}`
}

/** Addresses that hosts outside the VPC reach: those of the machines. */
export function routesInto(machines: readonly Machine[], border: readonly Prefix[]): NetRequest[] {
  const [via = ''] = border.map(bare)
  return machines.map(({ address }) => ({
    op: 'route-add',
    route: { dst: hostPrefix(address), via, protocol: STATIC },
  }))
}
