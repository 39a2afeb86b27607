/** The operator's half of the plugin: Azure by the section of the configuration, and which machine a Node is. */
import { ConfigError } from '../../daemon/plugin.ts'
import type { Machine } from '../cloud-core/provider.ts'
import { type CloudSetup, LABELS, type NodeFacts, policyOf, type SetupInput } from '../cloud-core/setup.ts'
import { azureMachineId } from './metadata.ts'
import { parseOptions } from './options.ts'
import { AzureProvider } from './provider.ts'

/** Throws ConfigError. No SDK is loaded before the first call. */
export function azureSetup({ section, families }: SetupInput): CloudSetup {
  const options = parseOptions(section)
  const { subnets, endpoint, firstInterface } = options
  if (subnets.ids.length > 0 || Object.keys(subnets.tags).length > 0 || options.classes.some(each => each.subnets))
    throw new ConfigError(
      'azure.subnets',
      'is not for the operator to choose: interfaces are made with their machine, and addresses are of their subnet',
    )
  return {
    provider: new AzureProvider({ otherInterfaces: firstInterface > 0, endpoint }),
    machineOf,
    policyOf: node => policyOf(options, families, node),
  }
}

function machineOf({ name, labels, providerId }: NodeFacts): Machine | string {
  const id = azureMachineId(providerId)
  if (id === undefined) return `spec.providerID '${providerId}' names no machine of Azure (azure:///subscriptions/…)`
  return { node: name, id, type: labels[LABELS.type] ?? '', zone: labels[LABELS.zone] ?? '' }
}
