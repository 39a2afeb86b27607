/** placeholder */
import type { Answer, Call } from '../call.ts'
import type { Cluster } from '../cluster.ts'
import { unsupportedMediaType } from '../status.ts'

export function apply(_cluster: Cluster, call: Call): Answer {
  throw unsupportedMediaType(call.contentType, [])
}
