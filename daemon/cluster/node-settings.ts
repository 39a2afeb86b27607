/** NodeSettings (causeway.dev/v1alpha1): which of them are for a node, and in which order they count. */
import type { SettingsLayer } from '../config/load.ts'
import type { LabelSelector } from '../state/egress-rows.ts'
import { selects } from '../state/selectors.ts'
import type { ObjectField } from './object-field.ts'
import { objectName } from './object-name.ts'
import { parseSelector } from './parse-egress-policy.ts'

export interface NodeSettingsRow {
  readonly name: string
  readonly priority: number
  /** RFC 3339. */
  readonly created: string
  readonly nodes: LabelSelector
  /** As it would stand in the configuration file; checked where it is laid over one. */
  readonly settings: object
}

export function parseNodeSettings(object: ObjectField): NodeSettingsRow {
  const spec = object.at('spec')
  const settings = spec.at('settings')
  if (typeof settings.value !== 'object' || settings.value === null || Array.isArray(settings.value))
    settings.fail('must be a group of keys of the configuration')
  return {
    name: objectName(object),
    priority: spec.at('priority').whole() ?? 0,
    created: object.at('metadata').at('creationTimestamp').text() ?? '',
    nodes: parseSelector(spec.at('nodeSelector')),
    // Which has just been found to be an object.
    settings: settings.value as object,
  }
}

/** Those of a node with these labels, the one that counts most last: the highest, then the oldest, then the first by name. */
export function settingsFor<T extends NodeSettingsRow>(
  rows: Iterable<T>,
  labels: Readonly<Record<string, string>>,
): readonly T[] {
  const own = [...rows].filter(row => selects(row.nodes, labels))
  return own.sort((a, b) => a.priority - b.priority || compare(b.created, a.created) || compare(b.name, a.name))
}

/** The same as they are laid over a configuration. */
export function layersFor(
  rows: Iterable<NodeSettingsRow>,
  labels: Readonly<Record<string, string>>,
): readonly SettingsLayer[] {
  return settingsFor(rows, labels).map(({ name, settings }) => ({ name, settings }))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
