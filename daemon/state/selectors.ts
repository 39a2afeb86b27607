/** Whom labels select (Kubernetes, "Labels and Selectors"). Pure. */
import type { LabelRequirement, LabelSelector } from './egress-rows.ts'

export type Labels = Readonly<Record<string, string>>

/** The label by which every namespace is known (Kubernetes, "Well-Known Labels"). */
export const NAMESPACE_NAME = 'kubernetes.io/metadata.name'

/** Selects everything. */
export const everything: LabelSelector = { matchLabels: {}, matchExpressions: [] }

/** Selects what bears these labels. */
export function labelled(matchLabels: Labels): LabelSelector {
  return { matchLabels, matchExpressions: [] }
}

/** Whether labels fulfil all of a selector's requirements (Kubernetes, "Labels and Selectors"). */
export function selects({ matchLabels, matchExpressions }: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(requirement => fulfils(requirement, labels))
  )
}

/** A label that is absent is not in any list. */
function fulfils({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
  }
}
