/** Devices of this node: pods' host sides, with the pod behind each, uplinks, and others by what the kernel calls them. */
import type { Tables } from '../state/tables.ts'
import { podName } from './names.ts'

export interface KnownInterface {
  readonly name: string
  /** `namespace/name` of the pod whose device it is. */
  readonly pod?: string
}

/**
 * A look-up by interface index; it reads the tables again only when they have changed, and asks for the name of a device
 * that stands in neither, such as the overlay's, once meanwhile.
 */
export function interfaces(
  tables: Pick<Tables, 'endpoints' | 'uplinks'>,
  linkName: (index: number) => string | undefined,
): (index: number) => KnownInterface | undefined {
  const { endpoints, uplinks } = tables
  let known = new Map<number, KnownInterface | undefined>()
  let readAt = ''
  return index => {
    const revisions = `${endpoints.revision} ${uplinks.revision}`
    if (revisions !== readAt) {
      known = new Map()
      for (const { device, pod, key } of endpoints.values())
        known.set(device.index, { name: device.name, pod: podName(pod, key) })
      for (const uplink of uplinks.values()) known.set(uplink.index, { name: uplink.name })
      readAt = revisions
    }
    if (!known.has(index)) {
      const name = linkName(index)
      known.set(index, name === undefined ? undefined : { name })
    }
    return known.get(index)
  }
}
