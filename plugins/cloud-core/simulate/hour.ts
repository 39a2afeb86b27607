/**
 * An hour of a large cluster at work: so many pods come to each node in its first half, half of them leave in the second.
 * Shows what the scheduler itself costs; bit-identical for a seed.
 */
import { burstTimes, type Scenario } from './scenario.ts'
import { Simulation } from './simulation.ts'

const HALF_MS = 1_800_000
const SUBNETS = Array.from({ length: 16 }, (_, n) => ({ id: `subnet-${n}`, cidr: `10.${n}.0.0/16`, zone: 'a' }))

export interface Hour {
  /** Pods that have had an address, of all that came. */
  readonly served: number
  readonly came: number
  /** Calls, and those that the cloud throttled. */
  readonly calls: number
  readonly throttled: number
}

export function runHour(of: Pick<Scenario, 'seed' | 'nodes' | 'pods' | 'limits' | 'policy' | 'cooldownMs'>): Hour {
  let served = 0
  const { seed, nodes, pods, limits, policy, cooldownMs } = of
  const onAddress = (): void => void served++
  const simulation = new Simulation({ seed, limits, policy, cooldownMs, subnets: SUBNETS, onAddress })
  const { agenda, cloud } = simulation
  for (let n = 0; n < nodes; n++) simulation.addNode(`node-${n}`, `subnet-${n % SUBNETS.length}`)
  const scenario = { ...of, withinMs: HALF_MS, before: 0, prefixes: policy.prefixes }
  const come = burstTimes(scenario)
  const leave = burstTimes({ ...scenario, seed: seed + 1 })
  for (let n = 0; n < nodes; n++)
    for (let pod = 0; pod < pods; pod++) {
      agenda.after(come[n]?.[pod] ?? 0, () => simulation.add(`node-${n}`, `pod-${pod}`))
      if (pod % 2 === 0)
        agenda.after(HALF_MS + (leave[n]?.[pod] ?? 0), () => simulation.remove(`node-${n}`, `pod-${pod}`))
    }
  agenda.run(2 * HALF_MS)
  const tallies = [...cloud.tallies.values()]
  const calls = tallies.reduce((sum, tally) => sum + tally.calls, 0)
  const throttled = tallies.reduce((sum, tally) => sum + tally.throttled, 0)
  return { served, came: nodes * pods, calls, throttled }
}
