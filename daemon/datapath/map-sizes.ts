/** How large the programs' maps are. */
import type { Settings } from '../config/schema.ts'
import { possibleCpus } from '../kernel/bpf/map-info.ts'
import { steadyEntries } from './constants.ts'
import type { Sizes } from './programs.ts'

/** What a first set of programs is loaded with. */
export function firstSizes({ datapath: { conntrack, ringBufferBytes } }: Pick<Settings, 'datapath'>): Sizes {
  const flows = conntrackSizes(Math.min(conntrack.initialEntries, conntrack.maxEntries))
  return { ...flows, events: ringBufferBytes, steady: steadyEntries(possibleCpus()) }
}

/** A translated flow has one entry in conntrack and two besides. */
export function conntrackSizes(entries: number): Sizes {
  return { conntrack: entries, translations: 2 * entries }
}
