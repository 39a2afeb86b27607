/** A pod of the lab: a namespace that the CNI executable attaches, and the server in it. */
import { addNamespace } from './namespaces.ts'
import type { Net } from '../../daemon/kernel/kernel.ts'
import { type Attachment, CniRuntime } from './cni-runtime.ts'
import { podManifest, writeManifest } from './configuration.ts'
import { bare, type LabLayout, type NodeLayout, type PodLayout } from './layout.ts'

/** The runtime of a node; Debian's packages put further plugins for chaining into the second folder. */
export function nodeRuntime(lab: LabLayout, node: NodeLayout, signal: AbortSignal): CniRuntime {
  return new CniRuntime({
    confDir: node.paths.cniConf,
    binDirs: [node.paths.cniBin, '/usr/lib/cni', '/opt/cni/bin'],
    cacheDir: lab.results,
    nodeNetns: node.netns,
    signal,
  })
}

export function attachmentOf(pod: PodLayout): Attachment {
  return {
    containerId: pod.containerId,
    netns: pod.netns,
    ifName: 'eth0',
    args: {
      IgnoreUnknown: '1',
      K8S_POD_NAMESPACE: 'default',
      K8S_POD_NAME: pod.name,
      K8S_POD_UID: pod.containerId,
      K8S_POD_INFRA_CONTAINER_ID: pod.containerId,
    },
  }
}

/** Creates the namespace, attaches it and reports the pod to the cluster. Returns the pod's addresses. */
export async function startPod(
  lab: LabLayout,
  pod: PodLayout,
  runtime: CniRuntime,
  openNet: (netnsPath: string) => Net,
): Promise<string[]> {
  await addNamespace(pod.netnsName)
  using net = openNet(pod.netns)
  net.run([{ op: 'link-set', link: 'lo', up: true }])
  const result = await runtime.add(attachmentOf(pod))
  const addresses = (result.ips ?? []).map(ip => bare(ip.address))
  writeManifest(lab, `pod-${pod.name}`, podManifest(pod, addresses))
  return addresses
}
