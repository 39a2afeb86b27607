/** Which services and slices are ours to serve. kube-proxy leaves the same out. */
import type { ObjectField } from './object-field.ts'

/** Labels of what another proxy serves, and of slices that no service address leads to (Kubernetes, well-known labels). */
const OF_OTHERS = ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless']

/** A label selector by which an API server does not send the others. */
export const SERVED_SELECTOR = OF_OTHERS.map(label => `!${label}`).join(',')

export function isServed(object: ObjectField): boolean {
  const labels = object.at('metadata').at('labels')
  return OF_OTHERS.every(label => labels.at(label).absent)
}
