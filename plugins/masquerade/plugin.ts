/** Pods' packets that leave the cluster bear an address of their node. */
import type { Address, Prefix } from '../../daemon/kernel/kernel.ts'
import { ConfigError, type Host, type Parts, type Plugin } from '../../daemon/plugin.ts'
import { hostPrefix } from '../../daemon/kernel/ip.ts'
import { EGRESS_DEVICES } from '../../daemon/state/egress-rows.ts'
import { eachChange } from '../../daemon/state/each-change.ts'
import { replaceRows } from '../../daemon/state/replace.ts'
import { AgentFile } from './agent-file.ts'
import { absent, allowedAddresses, choiceProblems, cloudRanges, egressRows } from './egress.ts'
import { type MasqueradeOptions, parseOptions } from './options.ts'

/** enum masquerade_flags of bpf/lib/shared.h. */
const FLAGS = { ipv4: 1, ipv6: 2, nodes: 4, protocols: 8, nat64: 16 } as const

export const masquerade: Plugin = {
  name: 'masquerade',
  configure(raw) {
    const options = parseOptions(raw)
    return host => setUp(options, host)
  },
}

function setUp(options: MasqueradeOptions, host: Host): Parts {
  refuseForeign(options.addresses, host)
  const { egress, nativeRanges, nat64Prefixes, uplinks, hostAddresses, nodes, cloudDevices } = host.tables
  const egressKnown = egress.initializer('masquerade')
  const rangesKnown = nativeRanges.initializer('masquerade')
  const prefixesKnown = nat64Prefixes.initializer('masquerade')
  const follow = (): void => {
    replaceRows(
      egress,
      egressRows({
        uplinks: uplinks.values(),
        hostAddresses: hostAddresses.values(),
        self: nodes.get(host.nodeName),
        nics: cloudDevices.values(),
        chosen: options.addresses,
      }),
      row => row.index < EGRESS_DEVICES,
    )
    if (uplinks.initialized && hostAddresses.initialized) egressKnown()
  }
  const keep = (owner: string, ranges: readonly Prefix[]): void => {
    const rows = ranges.map(prefix => ({ prefix, owner }))
    replaceRows(nativeRanges, rows, row => row.owner === owner)
  }
  replaceRows(
    nat64Prefixes,
    options.nat64Prefixes.map(prefix => ({ prefix })),
  )
  prefixesKnown()
  keep('masquerade.nativeRanges', options.nativeRanges)
  const followExternal = (): void => {
    if (options.externalAddresses === 'outside' || options.nodes) return
    const all = [...nodes.values()].flatMap(({ externalAddresses = [] }) => externalAddresses)
    keep('masquerade.externalAddresses', all.map(hostPrefix))
  }
  const followCloud = (): void => keep('cloud', cloudRanges(nodes.values(), nodes.get(host.nodeName)?.cloud))
  const file = agentFileOf(options, host, ranges => {
    keep('masquerade.agentFile', ranges)
    rangesKnown()
  })
  if (file === undefined) rangesKnown()
  return {
    datapath: { config: { masquerade_flags: flagsOf(options) } },
    problems: () => [...choiceProblems(options.addresses, hostAddresses), ...(file?.problems() ?? [])],
    run: async signal => {
      await Promise.all([
        eachChange([uplinks, hostAddresses, nodes, cloudDevices], follow, signal),
        eachChange([nodes], followExternal, signal),
        eachChange([nodes], followCloud, signal),
        file?.run(signal),
      ])
    },
  }
}

function agentFileOf({ agentFile: path }: MasqueradeOptions, host: Host, apply: (ranges: readonly Prefix[]) => void) {
  return path === undefined ? undefined : new AgentFile({ path, host, apply })
}

function flagsOf({ ipv4, ipv6, nodes, otherProtocols, nat64Prefixes }: MasqueradeOptions): number {
  return (
    (ipv4 ? FLAGS.ipv4 : 0) |
    (ipv6 ? FLAGS.ipv6 : 0) |
    (nodes ? FLAGS.nodes : 0) |
    (otherProtocols === 'translate' ? FLAGS.protocols : 0) |
    (nat64Prefixes.length > 0 ? FLAGS.nat64 : 0)
  )
}

/** An address that no device of the node has would be answered to somebody else. */
function refuseForeign(addresses: readonly Address[], { kernel }: Host): void {
  if (addresses.length === 0) return
  const own = allowedAddresses(kernel.net.addresses())
  for (const [n, address] of addresses.entries())
    if (!own.includes(address)) throw new ConfigError(`masquerade.addresses.${n}`, absent(address, own))
}
