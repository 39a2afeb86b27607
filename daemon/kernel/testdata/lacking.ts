/** For tests of features that the oldest supported kernel lacks. */
import { release } from 'node:os'
import type { FeatureName } from '../kernel.ts'
import { FeatureProbes } from '../probe.ts'

/** Whether the running kernel is of that release or newer. */
export function isSince(wantMajor: number, wantMinor: number): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  return major > wantMajor || (major === wantMajor && minor >= wantMinor)
}

/**
 * The reason why a test of a feature is skipped, false where it runs: where the kernel has the feature, and from the
 * release on in which every kernel must have it, so that its absence fails the test.
 */
export function lacking(name: FeatureName, expected?: readonly [major: number, minor: number]): string | false {
  if (expected && isSince(...expected)) return false
  const feature = new FeatureProbes().feature(name)
  return feature.state === 'absent' ? feature.reason : false
}

/** As `lacking`, of tcx, which every kernel has from 6.6 on. */
export function lackingTcx(): string | false {
  return lacking('tcx', [6, 6])
}
