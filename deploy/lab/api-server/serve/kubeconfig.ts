/** How kubectl, helm and every client library are told of a server. */
import { stringify } from 'yaml'

export interface Access {
  readonly url: string
  /** PEM text. */
  readonly ca: string
  readonly token: string
}

/** A kubeconfig as YAML. */
export function kubeconfig({ url, ca, token }: Access): string {
  const name = 'causeway'
  const cluster = { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') }
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  })
}
