import assert from 'node:assert/strict'
import { test } from 'node:test'
import { covers, parseAddress, parsePrefix } from '../kernel/ip.ts'
import { Random } from '../../test/support/random.ts'
import type { HostAddressRow, NodeRow } from '../state/tables.ts'
import { chooseWay, type End } from './choose-way.ts'
import { findWays, type Ways } from './paths.ts'
import { grantRanges } from './ranges.ts'

const cases: readonly (readonly [here: End, there: End, sameLink: boolean, choice: string])[] = [
  [{}, {}, true, 'native: same link'],
  [{}, {}, false, 'overlay: other link'],
  [{ cloud: 'none' }, { cloud: 'none' }, true, 'native: same link'],
  [{ cloud: 'aws' }, { cloud: 'aws' }, true, 'overlay: a link of aws, which does not know the pods'],
  [{ cloud: 'none' }, { cloud: 'azure' }, true, 'overlay: a link of azure, which does not know the pods'],
  [{ nativeNetwork: 'x' }, { nativeNetwork: 'x' }, true, 'native: network x'],
  [{ nativeNetwork: 'x', cloud: 'aws' }, { nativeNetwork: 'x', cloud: 'aws' }, false, 'native: network x'],
  [{ nativeNetwork: 'x' }, { nativeNetwork: 'y' }, true, 'overlay: other network: y there, x here'],
  [{ nativeNetwork: 'x' }, {}, true, 'overlay: other network: none there, x here'],
  [{}, { nativeNetwork: 'y' }, false, 'overlay: other network: y there, none here'],
]
for (const [here, there, sameLink, choice] of cases)
  test(`${choice}, for ${JSON.stringify([here, there])} on ${sameLink ? 'one link' : 'two links'}`, () => {
    const { kind, why } = chooseWay(here, there, sameLink)
    assert.equal(`${kind}: ${why}`, choice)
  })

/** Links by their prefixes; each machine has addresses of one of them. */
const LINKS = [
  ['172.30.0.0/24', 'fd00:30::/64'],
  ['172.30.1.0/24', 'fd00:30:1::/64'],
  ['10.128.0.0/20', 'fd00:128::/64'],
] as const

interface Machine {
  readonly row: NodeRow
  readonly addresses: readonly HostAddressRow[]
}

function randomMachine(random: Random, index: number): Machine {
  const [four, six] = random.pick(LINKS)
  const held = random.pick([[four], [six], [four, six], [four, six]])
  // As Google and DHCPv6 give them, alone.
  const single = random.chance(0.2) && four === LINKS[2][0]
  const addresses = held.map((prefix): HostAddressRow => {
    const [network = '', length] = prefix.split('/')
    const address = prefix === four ? network.replace(/0$/, `${index}`) : `${network}${index}`
    const prefixLength = single ? (prefix === four ? 32 : 128) : Number(length)
    return { address, prefixLength, scope: 'global', device: 'eth0' }
  })
  const nativeNetwork = random.pick(['', '', 'x', 'y', 'gce/shop'])
  const cloud = random.pick(['', 'none', 'aws', 'gcp'] as const)
  const row: NodeRow = {
    name: `n${index}`,
    // A Node may not name all that its machine has.
    addresses: addresses.map(a => a.address).slice(0, random.chance(0.2) ? 1 : 2),
    podCidrs: [`10.64.${index}.0/24`, `fd00:64:${index}::/64`],
    labels: {},
    ...(nativeNetwork !== '' && { nativeNetwork }),
    ...(cloud !== '' && { cloud }),
  }
  return { row, addresses }
}

function waysOf(self: Machine, nodes: readonly NodeRow[]): Ways {
  return findWays({
    self: self.row.name,
    mode: 'auto',
    families: [4, 6],
    nodes,
    hostAddresses: self.addresses,
    uplinkAddresses: self.addresses,
    ranges: grantRanges(nodes, self.row.name).of,
    strays: new Map(),
    gateway: () => ({ via: '192.0.2.1', link: 'eth0' }),
  })
}

/** Whether both see the link, as machines with whole prefixes do: one that has a single address cannot see its own. */
function seesLinks({ addresses }: Machine): boolean {
  return addresses.every(a => a.prefixLength < (a.address.includes(':') ? 128 : 32))
}

test('both ends of a pair take the same way with both families, whatever the two know in common', () => {
  const random = new Random()
  const kinds = new Map<string, number>()
  for (let round = 0; round < 300; round++) {
    const machines = Array.from({ length: 5 }, (_, index) => randomMachine(random, index + 1))
    const nodes = machines.map(m => m.row)
    const ways = new Map(machines.map(m => [m.row.name, waysOf(m, nodes)]))
    const kindOf = (from: Machine, to: Machine, family: 4 | 6): string =>
      ways.get(from.row.name)?.ways.find(w => w.node.name === to.row.name)?.hops[family]?.kind ?? 'none'
    for (const a of machines)
      for (const b of machines) {
        const network = a.row.nativeNetwork ?? b.row.nativeNetwork
        if (a === b || (network === undefined && !(seesLinks(a) && seesLinks(b)))) continue
        for (const family of [4, 6] as const) {
          const [there, back] = [kindOf(a, b, family), kindOf(b, a, family)]
          const told = `${JSON.stringify([a.row, b.row])} IPv${family}; ${random.replay}`
          // A Node that names too little is not found from everywhere; who finds it must not go natively.
          if (there !== back) assert.deepEqual([there, back].sort(), ['none', 'overlay'], told)
          kinds.set(there, (kinds.get(there) ?? 0) + 1)
          const linked = network === undefined && there === 'native'
          if (linked)
            assert.ok(oneLink(a, b) && [a, b].every(m => m.row.cloud === 'none' || m.row.cloud === undefined), told)
        }
      }
  }
  assert.ok((kinds.get('native') ?? 0) > 500 && (kinds.get('overlay') ?? 0) > 500, JSON.stringify([...kinds]))
})

/** As seen from outside: all addresses of both are of one link. */
function oneLink(a: Machine, b: Machine): boolean {
  const all = [...a.addresses, ...b.addresses].map(held => parseAddress(held.address))
  return LINKS.some(link => all.every(address => link.some(prefix => covers(parsePrefix(prefix), address))))
}
