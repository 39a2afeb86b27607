/** The operator's half of the plugin: EC2 by the section of the configuration, and which instance a Node is. */
import { ConfigError } from '../../daemon/plugin.ts'
import { selects } from '../../daemon/state/selectors.ts'
import type { Machine } from '../cloud-core/provider.ts'
import { type CloudSetup, LABELS, type NodeFacts, policyOf, type SetupInput } from '../cloud-core/setup.ts'
import { awsMachineId } from './metadata.ts'
import { parseOptions } from './options.ts'
import { AwsProvider } from './provider.ts'
import type { NodeClass } from './provider-sweep.ts'

/** Throws ConfigError. No SDK is loaded before the first call. */
export function awsSetup({ section, cluster, families }: SetupInput): CloudSetup {
  const options = parseOptions(section)
  if (cluster === '')
    throw new ConfigError(
      'cluster.name',
      'is needed with aws-eni: by it the cluster’s interfaces are known in the account',
    )
  const classes = [
    ...options.classes.map((each, n): NodeClass => classOf(`class ${n + 1}`, { ...options, ...each })),
    classOf('other nodes', options),
  ]
  // The class of a machine is that of the Node that it was known by last.
  const byNode = new Map<string, NodeClass>()
  const others = classes.at(-1) ?? classOf('other nodes', options)
  const provider = new AwsProvider({
    cluster,
    region: options.region,
    classes,
    classOf: ({ node }) => byNode.get(node) ?? others,
    endpoint: options.endpoint,
  })
  return {
    provider,
    machineOf(node) {
      const machine = machineOf(node)
      const n = options.classes.findIndex(({ nodeSelector }) => selects(nodeSelector, node.labels))
      byNode.set(node.name, classes[n] ?? others)
      return machine
    },
    policyOf: node => policyOf(options, families, node),
  }
}

function machineOf({ name, labels, providerId }: NodeFacts): Machine | string {
  const id = awsMachineId(providerId)
  if (id === undefined) return `spec.providerID '${providerId}' names no EC2 instance (aws:///ZONE/i-…)`
  return { node: name, id, type: labels[LABELS.type] ?? '', zone: labels[LABELS.zone] ?? '' }
}

function classOf(
  name: string,
  of: Partial<Pick<NodeClass, 'roleArn' | 'externalId'>> & Pick<NodeClass, 'subnets' | 'securityGroups'>,
): NodeClass {
  const { roleArn = '', externalId = '', subnets, securityGroups } = of
  return { name, roleArn, externalId, subnets, securityGroups }
}
