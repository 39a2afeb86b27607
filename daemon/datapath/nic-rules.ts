/**
 * The way out by network interfaces in the kernel's routes (`routing.cloudEgress: rules`): what comes from a block looks
 * up the table of its interface, after what goes to one has looked up the pods' own routes. Two rules a block, none a pod.
 */
import { isDeepStrictEqual } from 'node:util'
import { canonicalPrefix, familyIn, hostPrefix } from '../kernel/ip.ts'
import { CAUSEWAY_PROTOCOL, type Net, type NetRequest, type Prefix, type Rule } from '../kernel/kernel.ts'
import type { CloudDeviceRow } from '../state/cloud-rows.ts'
import type { RouteRow } from '../state/tables.ts'
import type { Target } from '../state/target.ts'

/** Before the main table's (32766), after the local one's; the first one counts. */
const PRIORITY = { toPods: 600, fromPods: 601 } as const
const MAIN_TABLE = 254
/** Of the second interface of a machine and those after it; far from what is counted by hand. */
const FIRST_TABLE = 0xca00

export const NIC_ROUTES = 'nics'

/** The table of an interface. */
export function tableOf({ place }: Pick<CloudDeviceRow, 'place'>): number {
  return FIRST_TABLE + place
}

/** Rules of an interface; none of the first, by which the main table leads anyway. Pure. */
export function nicRules(row: CloudDeviceRow): Rule[] {
  const blocks = row.usable ? row.blocks.map(canonicalPrefix) : []
  const own = row.place === 0 || !row.usable ? [] : [...blocks, ...row.addresses.map(hostPrefix)]
  const table = tableOf(row)
  return [
    ...blocks.map(to => rule(to, { to, priority: PRIORITY.toPods, table: MAIN_TABLE })),
    ...own.map(from => rule(from, { from, priority: PRIORITY.fromPods, table })),
  ]
}

function rule(prefix: Prefix, rest: Pick<Rule, 'priority' | 'table' | 'from' | 'to'>): Rule {
  return { family: familyIn(prefix), protocol: CAUSEWAY_PROTOCOL, ...rest }
}

/** Default routes in the tables of interfaces. Pure. */
export function nicRoutes(rows: Iterable<CloudDeviceRow>): RouteRow[] {
  return [...rows].flatMap(row =>
    row.place === 0 || !row.usable
      ? []
      : row.gateways.map(
          (via): RouteRow => ({
            dst: familyIn(via) === 4 ? '0.0.0.0/0' : '::/0',
            via,
            link: row.name,
            // The interface has no route to its subnet.
            onlink: true,
            table: tableOf(row),
            protocol: CAUSEWAY_PROTOCOL,
            owner: NIC_ROUTES,
          }),
        ),
  )
}

/** Carries the table `cloudDevices` into the kernel's rules; `wanted` says which a row is to have. */
export function nicRuleTarget(
  net: Pick<Net, 'rules' | 'run'>,
  wanted: (row: CloudDeviceRow) => readonly Rule[],
): Target<CloudDeviceRow> {
  const have = (): Rule[] => net.rules().filter(r => r.protocol === CAUSEWAY_PROTOCOL)
  const remove = (rules: readonly Rule[]): void => run(net, 'rule-delete', rules)
  return {
    update(row, previous) {
      const rules = wanted(row)
      const missing = without(rules, have())
      run(net, 'rule-add', missing)
      // Only now: between the two a packet would leave by another interface.
      if (previous !== undefined) remove(without(wanted(previous), rules))
      return missing.length > 0
    },
    delete: row => remove(wanted(row)),
    prune(desired) {
      const surplus = without(have(), [...desired.values()].flatMap(wanted))
      remove(surplus)
      return surplus.length
    },
  }
}

function run(net: Pick<Net, 'run'>, op: 'rule-add' | 'rule-delete', rules: readonly Rule[]): void {
  if (rules.length > 0) net.run(rules.map((one): NetRequest => ({ op, rule: one })))
}

function without(from: readonly Rule[], those: readonly Rule[]): Rule[] {
  return from.filter(one => !those.some(other => isDeepStrictEqual(one, other)))
}
