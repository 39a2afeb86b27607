/** Tests of tcx itself, which the oldest supported kernel lacks: `test(name, NEEDS_TCX, …)`. */
import { lackingTcx } from '../../daemon/kernel/testdata/lacking.ts'

/** Skips with the reason where the kernel has no tcx and need not have it. */
export const NEEDS_TCX = { skip: lackingTcx() } as const
