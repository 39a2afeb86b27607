/** Tests of tcx itself, which the oldest supported kernel lacks: `test(name, NEEDS_TCX, …)`. */
import { FeatureProbes } from '../../daemon/kernel/probe.ts'

const feature = new FeatureProbes().feature('tcx')

/** Skips with the reason where the kernel has no tcx. What could not be found out does not skip: the test will tell. */
export const NEEDS_TCX = { skip: feature.state === 'absent' ? feature.reason : false } as const
