/** The role that the operator needs in Google Cloud, made of the table of methods that the provider asks for. Pure. */
import { APIS } from './provider-apis.ts'

/** A custom role as `gcloud iam roles create --file` takes it (YAML), with a line end. */
export function gcpPermissions(): string {
  return [
    'title: Causeway addresses',
    'description: Alias ranges of the machines of a Kubernetes cluster, for addresses of pods',
    'stage: GA',
    'includedPermissions:',
    ...gcpPermissionNames().map(name => `- ${name}`),
    '',
  ].join('\n')
}

export function gcpPermissionNames(): string[] {
  return [...new Set(Object.values(APIS).flatMap(({ permissions }) => permissions as readonly string[]))].sort()
}
