/** Addresses of services that come without one. */
import { listAt, textAt, texts } from '../objects/json.ts'
import { type Store, treeOf } from '../objects/store.ts'

const SERVICES = { group: '', plural: 'services' }

/** The lowest free address of 10.96.0.0/12, kubeadm's range; the first one is that of the API server itself. */
export function serviceAddress(store: Store): string {
  const taken = new Set<string>()
  for (const stored of store.collection(SERVICES).at(store.revision)) {
    const service = treeOf(stored)
    taken.add(textAt(service, 'spec', 'clusterIP'))
    for (const address of texts(listAt(service, 'spec', 'clusterIPs'))) taken.add(address)
  }
  for (let i = 10; i < 1 << 20; i++) {
    const address = `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`
    if (!taken.has(address)) return address
  }
  throw new Error('10.96.0.0/12 is full')
}
