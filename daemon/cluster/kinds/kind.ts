/** An own kind: all that its CustomResourceDefinition says. */
import type { ApiResource } from '../kubernetes/resources.ts'
import type { Shape } from './shape.ts'

export interface Kind {
  readonly resource: ApiResource
  /** Raised with every change of what the definition prints; `installed.test.ts` says when it was forgotten. */
  readonly revision: number
  readonly shortNames: readonly string[]
  /** A sentence or two for `kubectl explain`. */
  readonly about: string
  readonly spec: Shape
  readonly status: Shape
  /** What `kubectl get` shows, apart from name and age. */
  readonly columns: readonly PrinterColumn[]
}

/** Annotation of a definition: the revision that it was printed from. */
export const REVISION_ANNOTATION = 'causeway.dev/revision'

export interface PrinterColumn {
  readonly name: string
  readonly type: 'string' | 'integer' | 'boolean' | 'date'
  readonly jsonPath: string
  /** Only with `-o wide`. */
  readonly wide?: true
}

/** The status of a condition. */
export function conditionColumn(type: string): PrinterColumn {
  return { name: type, type: 'string', jsonPath: `.status.conditions[?(@.type=="${type}")].status` }
}
