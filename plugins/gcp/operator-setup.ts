/** The operator's half of the plugin: Compute Engine by the section of the configuration, and which machine a Node is. */
import { ConfigError } from '../../daemon/plugin.ts'
import type { CloudOptions } from '../cloud-core/node/options.ts'
import type { Machine } from '../cloud-core/provider.ts'
import { type CloudSetup, LABELS, type NodeFacts, policyOf, type SetupInput } from '../cloud-core/setup.ts'
import { gcpMachineId } from './metadata.ts'
import { parseOptions } from './options.ts'
import { GcpProvider } from './provider.ts'

/** Throws ConfigError. No library is loaded before the first call. */
export function gcpSetup({ section, families }: SetupInput): CloudSetup {
  const options = parseOptions(section)
  const { endpoint, firstInterface } = options
  return {
    provider: new GcpProvider({ rangeName: rangeNameOf(options), otherInterfaces: firstInterface > 0, endpoint }),
    machineOf,
    policyOf: node => policyOf(options, families, node),
  }
}

/** A secondary range has the same name in the subnets of all machines; the subnets are those of their interfaces. */
function rangeNameOf({ subnets, classes }: Pick<CloudOptions, 'subnets' | 'classes'>): string {
  if (Object.keys(subnets.tags).length > 0)
    throw new ConfigError('gcp.subnets.tags', "Google's subnets have no tags; allowed: gcp.subnets.ids")
  if (classes.some(each => each.subnets))
    throw new ConfigError('gcp.classes', 'subnets are those of the machines, and of secondary ranges one name is used')
  const names = new Set(subnets.ids.map(id => /^[a-z0-9-]+\/([a-z0-9-]+)$/.exec(id)?.[1] ?? ''))
  const [name = ''] = names
  if (names.size > 1 || (subnets.ids.length > 0 && name === ''))
    throw new ConfigError(
      'gcp.subnets.ids',
      `'${subnets.ids.join(', ')}' is not allowed; allowed: SUBNET/RANGE with one name of a secondary range, or nothing for the primary one`,
    )
  return name
}

function machineOf({ name, labels, providerId }: NodeFacts): Machine | string {
  const id = gcpMachineId(providerId)
  if (id === undefined) return `spec.providerID '${providerId}' names no machine of Google (gce://PROJECT/ZONE/NAME)`
  return { node: name, id, type: labels[LABELS.type] ?? '', zone: labels[LABELS.zone] ?? '' }
}
