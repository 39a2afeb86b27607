/**
 * What a trace does with each map of the programs. It runs them loaded once more: what they only read is the very map that
 * the live ones use, what they write is one of the trace's own, so that nothing of it shows in the node's traffic.
 */

/**
 * `shared`: the live map; no program may write it, which the verifier is asked in a test. `own`: one of the trace's, with
 * room for so many entries (bytes of a ring buffer), or for as many as the program says.
 */
export type MapUse = 'shared' | { readonly own: number | 'as declared' }

const FEW: MapUse = { own: 1024 }
const AS_DECLARED: MapUse = { own: 'as declared' }

/** Every map of bpf/lib/maps.h. */
export const MAP_USE: Readonly<Record<string, MapUse>> = {
  endpoints: 'shared',
  devices: 'shared',
  node_addresses: 'shared',
  ipcache: 'shared',
  native_ranges: 'shared',
  nic_ways: 'shared',
  egress_addresses: 'shared',
  departed: 'shared',
  services: 'shared',
  source_ranges: 'shared',
  service_slots: 'shared',
  backends: 'shared',
  direct_backends: 'shared',
  maglev_segments: 'shared',
  egress_paths: 'shared',
  nat64_prefixes: 'shared',
  nat_crowd_blank: 'shared',
  service_ids: 'shared',
  change_over: 'shared',
  conntrack: FEW,
  translations: FEW,
  nat_crowds: { own: 64 },
  crowd_shares: FEW,
  affinities: FEW,
  // Copied whole.
  loads: AS_DECLARED,
  service_hits: FEW,
  socket_peers: FEW,
  fragments: FEW,
  events: { own: 65_536 },
  metrics: AS_DECLARED,
  forwarded: AS_DECLARED,
  event_budgets: AS_DECLARED,
  scratches: AS_DECLARED,
  hops: AS_DECLARED,
  steady: AS_DECLARED,
}
