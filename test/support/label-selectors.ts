/** Label selectors for tests. */
import type { LabelSelector } from '../../daemon/state/egress-rows.ts'

export const everything: LabelSelector = { matchLabels: {}, matchExpressions: [] }

export const labelled = (matchLabels: Readonly<Record<string, string>>): LabelSelector => ({
  matchLabels,
  matchExpressions: [],
})
