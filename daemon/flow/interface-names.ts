/** Names of the devices of this node that the datapath knows: pods' host sides and uplinks. */
import type { Tables } from '../state/tables.ts'

/** A look-up by interface index; it reads the tables again only when they have changed. */
export function interfaceNames(tables: Pick<Tables, 'endpoints' | 'uplinks'>): (index: number) => string | undefined {
  const { endpoints, uplinks } = tables
  let names = new Map<number, string>()
  let readAt = ''
  return index => {
    const revisions = `${endpoints.revision} ${uplinks.revision}`
    if (revisions !== readAt) {
      names = new Map()
      for (const { device } of endpoints.values()) names.set(device.index, device.name)
      for (const uplink of uplinks.values()) names.set(uplink.index, uplink.name)
      readAt = revisions
    }
    return names.get(index)
  }
}
