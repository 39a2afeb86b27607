/** All benches, in the order they run, and how they are chosen. */
import type { Bench } from './bench.ts'
import { cniExec } from './cni-exec.ts'
import { forwarding } from './forwarding.ts'
import { forwardingTestRun } from './forwarding-test-run.ts'
import { ipamSim } from './ipam-sim.ts'
import { k8sScale } from './k8s-scale.ts'
import { maglevTableBench } from './maglev-table.ts'
import { maglevXdp } from './maglev-xdp.ts'
import { mapSync } from './map-sync.ts'
import { masquerade } from './masquerade.ts'
import { memory } from './memory.ts'
import { podAdd } from './pod-add.ts'
import { serviceConnect } from './service-connect.ts'
import { start } from './start.ts'

export const benches: readonly Bench[] = [
  cniExec,
  podAdd,
  forwarding,
  forwardingTestRun,
  maglevTableBench,
  maglevXdp,
  mapSync,
  serviceConnect,
  masquerade,
  memory,
  k8sScale,
  ipamSim,
  start,
]

/** What a command line asks for. */
export interface Choice {
  readonly names: readonly string[]
  /** `--test-run`: of the benches named, the variant by test run. */
  readonly testRun: boolean
}

const TEST_RUN = ' --test-run'

/** The benches a command line means: all without a name. Throws RangeError naming what there is none of. */
export function chooseBenches(all: readonly Bench[], { names, testRun }: Choice): readonly Bench[] {
  const variants = testRun ? all.filter(b => b.name.endsWith(TEST_RUN)) : all
  if (names.length === 0) return variants
  return names.map(name => {
    const wanted = testRun ? `${name}${TEST_RUN}` : name
    const found = variants.find(b => b.name === wanted)
    if (found === undefined) throw new RangeError(`no bench named ${wanted}`)
    return found
  })
}
