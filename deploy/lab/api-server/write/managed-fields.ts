/** placeholder */
import type { Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import type { KubeObject } from '../objects/kube-object.ts'

export function trackUpdate(_cluster: Cluster, _call: Call, _was: KubeObject | undefined, _object: KubeObject): void {}
