/** What Azure tells a machine of itself (Azure Instance Metadata Service). */
import { askMetadataObject, type MachineFacts, MetadataError, textIn } from '../cloud-core/metadata-service.ts'
import { machineIn } from './provider-ids.ts'

const SERVICE = 'http://169.254.169.254'
const PATH = '/metadata/instance/compute?api-version=2021-02-01&format=json'

/** Throws MetadataError. The service does not say of which subnet its addresses are. */
export async function azureFacts(signal: AbortSignal, service: string = SERVICE): Promise<MachineFacts> {
  const compute = await askMetadataObject(service, { path: PATH, headers: { metadata: 'true' }, signal })
  const id = textIn(compute, 'resourceId')
  if (machineIn(id) === undefined)
    throw new MetadataError(`the metadata service names the machine ${id}, which is none`)
  const region = textIn(compute, 'location').toLowerCase()
  const zone = compute['zone']
  return {
    id: id.toLowerCase(),
    type: textIn(compute, 'vmSize'),
    // Nodes' labels have the region before the number, and 0 where a region has no zones.
    zone: typeof zone === 'string' && zone !== '' ? `${region}-${zone}` : '0',
    region,
    subnet: '',
  }
}

/** The resource id of Node.spec.providerID, such as `azure:///subscriptions/…`; undefined of anything else. */
export function azureMachineId(providerId: string): string | undefined {
  const id = /^azure:\/\/(\/.*)$/.exec(providerId)?.[1]?.toLowerCase()
  return id === undefined || machineIn(id) === undefined ? undefined : id
}
