/** What is to be said of NodeSettings: whether daemons can use them, and which of them contradict each other. Pure. */
import { isDeepStrictEqual } from 'node:util'
import { settingsFor } from '../cluster/node-settings.ts'
import { RESOURCES } from '../cluster/kubernetes/resources.ts'
import { selects } from '../state/selectors.ts'
import type { ClusterNodeRow, SettingsRow } from './rows.ts'
import { type Finding, type Judgement, wanted } from './verdict.ts'

/** `refusals`: what daemons would say of some of them, by their names. */
export function judgeSettings(
  all: readonly SettingsRow[],
  nodes: readonly ClusterNodeRow[],
  refusals: ReadonlyMap<string, string>,
): readonly Judgement[] {
  const contradictions = contradictionsOf(all, nodes)
  return all.map(object => {
    const count = nodes.filter(({ labels }) => selects(object.nodes, labels)).length
    return {
      resource: RESOURCES.nodeSettings,
      object,
      fields: { nodes: count },
      conditions: [ready(refusals.get(object.name), contradictions.get(object.name) ?? [], count)],
    }
  })
}

function ready(refused: string | undefined, contradictions: readonly Contradiction[], nodes: number): Finding {
  if (refused !== undefined) return wanted('Ready', false, 'SettingsRefused', refused)
  if (contradictions.length > 0) {
    const beaten = contradictions.some(({ wins }) => !wins)
    // What holds all the same is ready; a warning it is for both.
    return { ...wanted('Ready', !beaten, 'Contradicted', contradictions.map(textOf).join('; ')), bad: true }
  }
  if (nodes === 0) return wanted('Ready', true, 'SelectsNoNode', 'its settings are good, and no node is selected')
  return wanted('Ready', true, 'SettingsGood', 'daemons of the nodes that it selects use its settings')
}

/** Two of the same priority that say the same key of the same node otherwise. */
interface Contradiction {
  readonly key: string
  readonly here: string
  readonly there: string
  readonly own: string
  readonly other: string
  /** A node that both select. */
  readonly node: string
  /** Whether this one's value holds. */
  readonly wins: boolean
}

function textOf({ key, here, there, own, other, node, wins }: Contradiction): string {
  return (
    `${key} is ${here} in NodeSettings ${own} and ${there} in NodeSettings ${other}, both of the same priority and for ` +
    `node ${node}: that of ${wins ? own : other} counts. Give the one that shall count a higher priority`
  )
}

/** NodeSettings that are for the same nodes. */
export interface SettingsGroup {
  /** One of the nodes. */
  readonly node: string
  /** In the order in which they count. */
  readonly selecting: readonly SettingsRow[]
}

/** Nodes that the same NodeSettings select differ in nothing here, so each such group is looked at once. */
export function settingsGroups(
  all: readonly SettingsRow[],
  nodes: readonly ClusterNodeRow[],
): readonly SettingsGroup[] {
  const groups = new Map<string, SettingsGroup>()
  for (const { name, labels } of nodes) {
    const selecting = settingsFor(all, labels).toReversed()
    const key = JSON.stringify(selecting.map(each => each.name))
    if (!groups.has(key)) groups.set(key, { node: name, selecting })
  }
  return [...groups.values()]
}

function contradictionsOf(
  all: readonly SettingsRow[],
  nodes: readonly ClusterNodeRow[],
): ReadonlyMap<string, readonly Contradiction[]> {
  const leaves = new Map(all.map(each => [each.name, leavesOf(each.settings)]))
  const contradictions = new Map<string, Contradiction[]>()
  for (const { node, selecting } of settingsGroups(all, nodes))
    for (const found of among(selecting, leaves, node)) {
      const known = contradictions.get(found.own) ?? []
      if (!known.some(({ key, other }) => key === found.key && other === found.other))
        contradictions.set(found.own, [...known, found])
    }
  return contradictions
}

type Leaves = ReadonlyMap<string, unknown>

/** Of those that select one node, in the order in which they count. */
function among(
  selecting: readonly SettingsRow[],
  leaves: ReadonlyMap<string, Leaves>,
  node: string,
): readonly Contradiction[] {
  const found: Contradiction[] = []
  for (const [n, first] of selecting.entries())
    for (const second of selecting.slice(n + 1)) {
      if (second.priority !== first.priority) break
      const earlier = selecting.filter(({ priority }) => priority > first.priority)
      for (const difference of differences(leaves.get(first.name), leaves.get(second.name))) {
        // What a higher one says holds anyway.
        if (earlier.some(({ name }) => leaves.get(name)?.has(difference.key))) continue
        const { key, here, there } = difference
        found.push({ key, here, there, own: first.name, other: second.name, node, wins: true })
        found.push({ key, here: there, there: here, own: second.name, other: first.name, node, wins: false })
      }
    }
  return found
}

function differences(
  a: Leaves = new Map(),
  b: Leaves = new Map(),
): readonly { readonly key: string; readonly here: string; readonly there: string }[] {
  return [...a].flatMap(([key, value]) => {
    if (b.has(key)) {
      const other = b.get(key)
      return isDeepStrictEqual(value, other) ? [] : [{ key, here: shown(value), there: shown(other) }]
    }
    // A value where the other has a group, such as `masquerade: false`.
    const over = [...b].find(([other]) => other.startsWith(`${key}.`) || key.startsWith(`${other}.`))
    return over === undefined || isGroup(value) || isGroup(over[1])
      ? []
      : [{ key, here: shown(value), there: `${over[0]}: ${shown(over[1])}` }]
  })
}

/** Values by dotted key; lists count as a whole, and so do empty groups, by which plugins are switched on. */
function leavesOf(settings: unknown, path = ''): Leaves {
  const entries = isGroup(settings) ? Object.entries(settings) : []
  if (entries.length === 0) return path === '' ? new Map() : new Map([[path, settings]])
  return new Map(entries.flatMap(([key, value]) => [...leavesOf(value, path === '' ? key : `${path}.${key}`)]))
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
