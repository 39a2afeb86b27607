/** What `up` leaves behind for the other commands, and the lab as they see it. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Address, Family } from '../../daemon/kernel/kernel.ts'
import type { LabOptions } from './configuration.ts'
import { bare, type LabLayout, labLayout, type NodeLayout, nodeLayouts, type Place, podLayout } from './layout.ts'

/** A namespace that checks start from or lead to. */
export interface Station extends Place {
  readonly kind: 'pod' | 'node' | 'outside'
  /** The node it belongs to; empty for the outside host. */
  readonly node: string
  readonly addresses: readonly Address[]
}

export interface Lab {
  readonly layout: LabLayout
  readonly options: LabOptions
  /** Of the project as it was when the lab was built. */
  readonly fingerprint: string
  readonly nodes: readonly NodeLayout[]
  readonly stations: readonly Station[]
}

/** The content of lab.json; `pods` are their addresses by name. */
export interface Saved {
  readonly options: LabOptions
  readonly fingerprint: string
  readonly pods: Readonly<Record<string, readonly Address[]>>
}

export function familyOf(address: Address): Family {
  return address.includes(':') ? 6 : 4
}

/** The lab's last file, written when all the rest is done. */
export function saveLab(layout: LabLayout, saved: Saved): void {
  writeFileSync(`${layout.complete}.tmp`, `${JSON.stringify(saved, undefined, 2)}\n`)
  renameSync(`${layout.complete}.tmp`, layout.complete)
}

/** The lab of a name; undefined when it is not up, or its `up` did not finish. */
export function loadLab(name: string): Lab | undefined {
  const layout = labLayout(name)
  let saved: Saved
  try {
    saved = JSON.parse(readFileSync(layout.complete, 'utf8')) as Saved
  } catch {
    return undefined
  }
  return describeLab(layout, saved)
}

export function describeLab(layout: LabLayout, { options, fingerprint, pods }: Saved): Lab {
  const nodes = nodeLayouts(layout, options)
  const { outside } = layout
  return {
    layout,
    options,
    fingerprint,
    nodes,
    stations: [
      ...nodes.flatMap(node => podStations(layout, node, options.pods, pods)),
      ...nodes.map(n => ({ ...pick(n), kind: 'node' as const, node: n.name, addresses: n.addresses.map(bare) })),
      { ...pick(outside), kind: 'outside', node: '', addresses: outside.addresses.map(bare) },
    ],
  }
}

/** Whether its pods have been started: a lab that was built bare has none at first. */
export function hasPods({ stations, options }: Pick<Lab, 'stations' | 'options'>): boolean {
  return options.bare !== true || stations.some(({ kind, addresses }) => kind === 'pod' && addresses.length > 0)
}

function podStations(layout: LabLayout, node: NodeLayout, count: number, pods: Saved['pods']): Station[] {
  return Array.from({ length: count }, (_, i) => podLayout(layout, node, i)).map(pod => ({
    ...pick(pod),
    kind: 'pod',
    node: node.name,
    addresses: pods[pod.name] ?? [],
  }))
}

function pick(place: Place): Place {
  return { name: place.name, netns: place.netns }
}
