/**
 * Where a node's machine stands: its cloud, and the network that routes its pods. Both follow from `Node.spec.providerID`
 * (Kubernetes API, NodeSpec: `<ProviderName>://<ProviderSpecificNodeID>`) unless a label or annotation names the network.
 */
import type { NodeRow } from '../state/tables.ts'
import { ANNOTATION } from './annotations.ts'
import type { ObjectField } from './object-field.ts'

/** What a Node says of its place; the row of the node has what becomes of it (`joinNode`). */
export interface NodePlace extends Pick<NodeRow, 'provider'> {
  /** Of a label or annotation; empty where it says that there is none. */
  readonly namedNetwork?: string
  /** The network of the cloud that routes `Node.spec.podCIDRs`, where the cloud is one that does. */
  readonly cloudNetwork?: string
}

/** As long as two labels, with the slashes that annotations may have besides. */
const NETWORK_NAME = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,126}[A-Za-z0-9])?$/
export const NETWORK_NAME_ALLOWED = 'at most 128 letters, digits, -, _, . and /, the first and last a letter or digit'

export function parseNodePlace(object: ObjectField): NodePlace {
  const metadata = object.at('metadata')
  const fields = ['labels', 'annotations'].map(where => metadata.at(where).at(ANNOTATION.nativeNetwork))
  const named = fields.find(field => !field.absent)?.converted(networkName)
  return {
    ...byProvider(object.at('spec').at('providerID').text()),
    ...(named !== undefined && { namedNetwork: named }),
  }
}

/** The name of a native network, or nothing; throws RangeError. */
export function networkName(text: string): string {
  if (text !== '' && !isNetworkName(text)) throw new RangeError(`must be ${NETWORK_NAME_ALLOWED}`)
  return text
}

export function isNetworkName(text: string): boolean {
  return NETWORK_NAME.test(text)
}

/**
 * GKE's nodes have `gce://PROJECT/ZONE/NAME`, and their ranges are alias ranges, which the VPC routes (GKE, "VPC-native
 * clusters"). kind's nodes are containers of one machine, whatever that is. What others write (`k3s://`) says nothing.
 */
function byProvider(id: string | undefined): NodePlace {
  const [, name = '', rest = ''] = /^([a-z0-9]+):\/\/(.*)$/.exec(id ?? '') ?? []
  switch (name) {
    case 'aws':
    case 'azure':
      return { provider: name }
    case 'gce': {
      const network = `gce/${rest.split('/')[0] ?? ''}`
      return { provider: 'gcp', ...(isNetworkName(network) && { cloudNetwork: network }) }
    }
    case 'kind':
      return { provider: 'none' }
    default:
      return {}
  }
}
