/** By which device a traced packet leaves the node that no pod of it gets and the overlay does not take. */
import { nicHas } from '../datapath/nic-plan.ts'
import type { Address, RouteInfo } from '../kernel/kernel.ts'
import type { CloudDeviceRow } from '../state/cloud-rows.ts'
import type { Tables } from '../state/tables.ts'

export interface WayOut {
  readonly device: string
  /** A router; absent on the link. */
  readonly via?: Address
  /** Why by that one, where the kernel's routes do not decide. */
  readonly why?: string
}

export interface WayOutParts {
  readonly tables: Pick<Tables, 'cloudDevices'>
  readonly routeTo: (address: Address) => RouteInfo | undefined
  readonly linkName: (index: number) => string | undefined
}

/** `cameBy` is the index of the interface that the flow came in by which the packet answers, 0 where that does not matter. */
export function wayOut(
  { tables, routeTo, linkName }: WayOutParts,
  { source, destination }: { readonly source: Address; readonly destination: Address },
  cameBy: number,
): WayOut {
  const nics = [...tables.cloudDevices.values()]
  const route = routeTo(destination)
  const device = route === undefined ? undefined : linkName(route.link)
  const nic = nics.find(row => nicHas(row, source)) ?? nics.find(row => cameBy !== 0 && row.index === cameBy)
  const byNic = nic?.usable && (device === undefined || nics.some(row => row.name === device))
  if (nic !== undefined && byNic) return { device: nic.name, ...gatewayOf(nic, destination), why: whyOf(nic, source) }
  return { device: device ?? 'a device that is gone', ...(route?.via === undefined ? {} : { via: route.via }) }
}

function gatewayOf({ gateways }: CloudDeviceRow, destination: Address): { via?: Address } {
  const via = gateways.find(gateway => gateway.includes(':') === destination.includes(':'))
  return via === undefined ? {} : { via }
}

function whyOf(nic: CloudDeviceRow, source: Address): string {
  return nicHas(nic, source)
    ? `network interface ${nic.id} has ${source}`
    : `the flow came in by network interface ${nic.id}`
}
