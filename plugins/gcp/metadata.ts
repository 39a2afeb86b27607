/** What Google tells a machine of itself (Compute Engine, "About VM metadata"). */
import { askMetadata, type MachineFacts, MetadataError } from '../cloud-core/metadata-service.ts'
import { machineIn } from './provider-ids.ts'

const SERVICE = 'http://169.254.169.254'
/** Without it the service answers nobody: it shows that the request was meant for it. */
const HEADERS = { 'metadata-flavor': 'Google' }

/** Throws MetadataError. One value at a time: all at once would bring what users have given the machine, too. */
export async function gcpFacts(signal: AbortSignal, service: string = SERVICE): Promise<MachineFacts> {
  const ask = async (name: string): Promise<string> =>
    (await askMetadata(service, { path: `/computeMetadata/v1/${name}`, headers: HEADERS, signal })).trim()
  const [project, name, zonePath, typePath] = await Promise.all(
    ['project/project-id', 'instance/name', 'instance/zone', 'instance/machine-type'].map(ask),
  )
  // Named as `projects/NUMBER/zones/ZONE`.
  const zone = lastOf(zonePath ?? '')
  const id = `${project}/${zone}/${name}`
  if (machineIn(id) === undefined)
    throw new MetadataError(`the metadata service names the machine ${id}, which is none`)
  return { id, type: lastOf(typePath ?? ''), zone, region: zone.replace(/-[a-z]$/, ''), subnet: '' }
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** The machine of Node.spec.providerID, such as `gce://project/europe-west1-b/node-1`; undefined of anything else. */
export function gcpMachineId(providerId: string): string | undefined {
  const id = /^gce:\/\/(.+)$/.exec(providerId)?.[1]
  return id === undefined || machineIn(id) === undefined ? undefined : id
}
