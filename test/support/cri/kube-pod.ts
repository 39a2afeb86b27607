/** Kubelet's part between an API server and a runtime: a Pod object is there before its sandbox, and after it. */
import type { PodRow } from '../../../daemon/state/tables.ts'
import type { JsonObject } from '../../../deploy/lab/api-server/objects/json.ts'
import { succeeded, type TestControlPlane } from '../control-plane.ts'
import { POD_IMAGE } from './cluster.ts'
import type { Containerd } from './containerd.ts'
import { type CriPod, removePod, runPod } from './pod.ts'

const PODS = '/api/v1/namespaces/default/pods'

type Plane = Pick<TestControlPlane, 'admin' | 'get'>

/** As the scheduler has bound it; resolves to its uid. */
export async function createPodObject(plane: Plane, runtime: Containerd, name: string): Promise<string> {
  const spec = { nodeName: runtime.node.name, containers: [{ name: 'probe', image: POD_IMAGE }] }
  const metadata = { name, labels: { app: 'probe' } }
  succeeded(await plane.admin.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata, spec }))
  return uidOf(await plane.get(`${PODS}/${name}`))
}

/** Resolves once the pod serves and its object says where. */
export async function runKubePod(plane: Plane, runtime: Containerd, name: string): Promise<CriPod> {
  const uid = await createPodObject(plane, runtime, name)
  const pod = await runPod(runtime, name, { uid })
  await writePodStatus(plane, pod)
  return pod
}

export async function writePodStatus({ admin }: Plane, { spec, addresses }: CriPod): Promise<void> {
  const podIPs = addresses.map(ip => ({ ip }))
  const status = { phase: 'Running', podIP: addresses[0], podIPs }
  succeeded(await admin.patch(`${PODS}/${spec.name}/status`, { status }))
}

/** Somebody deletes the object, the sandbox goes, and with it the object. */
export async function removeKubePod(plane: Plane, pod: CriPod): Promise<void> {
  succeeded(await plane.admin.delete(`${PODS}/${pod.spec.name}`))
  await removePod(pod)
  await removePodObject(plane, pod.spec.name)
}

/** Kubelet's last word on it. */
export async function removePodObject({ admin }: Plane, name: string): Promise<void> {
  succeeded(await admin.delete(`${PODS}/${name}?gracePeriodSeconds=0`))
}

/** What a daemon's table `pods` shall hold of a pod. */
export function rowOf({ spec, addresses, runtime }: CriPod): PodRow {
  const { namespace, name, uid } = spec
  const labels = { app: 'probe' }
  return { namespace, name, uid, nodeName: runtime.node.name, addresses, hostNetwork: false, labels }
}

function uidOf({ metadata }: JsonObject): string {
  return (metadata as { readonly uid: string }).uid
}
