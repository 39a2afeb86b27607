/** What EC2 tells a machine of itself (EC2 user guide, "Use the Instance Metadata Service", version 2 with a token). */
import {
  askMetadata,
  askMetadataObject,
  type MachineFacts,
  MetadataError,
  textIn,
} from '../cloud-core/metadata-service.ts'

const SERVICE = 'http://169.254.169.254'
/** Seconds for which the token is good: longer than all that is asked with it takes. */
const TOKEN_SECONDS = '60'

/** Throws MetadataError. */
export async function awsFacts(signal: AbortSignal, service: string = SERVICE): Promise<MachineFacts> {
  const headers = { 'x-aws-ec2-metadata-token': await token(service, signal) }
  const ask = (path: string): Promise<string> => askMetadata(service, { path, headers, signal })
  const path = '/latest/dynamic/instance-identity/document'
  const identity = await askMetadataObject(service, { path, headers, signal })
  const mac = (await ask('/latest/meta-data/mac')).trim()
  return {
    id: textIn(identity, 'instanceId'),
    type: textIn(identity, 'instanceType'),
    zone: textIn(identity, 'availabilityZone'),
    region: textIn(identity, 'region'),
    subnet: (await ask(`/latest/meta-data/network/interfaces/macs/${mac}/subnet-id`)).trim(),
  }
}

async function token(service: string, signal: AbortSignal): Promise<string> {
  const headers = { 'x-aws-ec2-metadata-token-ttl-seconds': TOKEN_SECONDS }
  try {
    return await askMetadata(service, { method: 'PUT', path: '/latest/api/token', headers, signal })
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error
    // The answer's packets live for one hop unless the instance says otherwise, and a pod's network is a second one.
    const advice = 'a pod without the host network needs a hop limit of 2 (HttpPutResponseHopLimit of the instance)'
    throw new MetadataError(`${error.message}; ${advice}`, { cause: error })
  }
}

/** The instance of Node.spec.providerID, such as `aws:///eu-west-1a/i-0123456789abcdef0`; undefined of anything else. */
export function awsMachineId(providerId: string): string | undefined {
  return /^aws:\/\/[^/]*\/[^/]*\/(i-[0-9a-f]+)$/.exec(providerId)?.[1]
}
