/**
 * One node that grows over all its interfaces, and shrinks to what it began with, while the leader dies at the step that the
 * drill is about; then everything must be as if it had not. Throws Violation as a storm does.
 */
import { MemoryAws } from '../memory/aws.ts'
import { MemoryAzure } from '../memory/azure.ts'
import { MemoryGcp } from '../memory/gcp.ts'
import type { Limits, Policy } from '../model.ts'
import { Simulation } from '../simulate/simulation.ts'
import { checkRest } from './at-rest.ts'
import { Ledger, Violation } from './ledger.ts'
import type { CloudName } from './weather.ts'

const CLOUDS = { aws: MemoryAws, azure: MemoryAzure, gcp: MemoryGcp } as const
const PODS = 60
const LEFT = 2
const GROWN_MS = 60_000
const AT_REST_MS = 900_000

const POLICY: Policy = {
  families: [4],
  preAllocate: 4,
  min: 0,
  maxAbove: 8,
  maxPods: 110,
  releaseDelayMs: 10_000,
  firstNic: 0,
  prefixes: true,
}
const AWS: Limits = { nics: 4, slots: 2, lengths: { 4: [28, 32], 6: [] }, wholeWrites: false }
const OTHERS: Limits = { nics: 1, slots: 8, lengths: { 4: [28, 32], 6: [] }, wholeWrites: true }

/** How many steps there were; the leader dies at the one of that number, counted from 0. */
export function drill(cloud: CloudName, deathAt: number): number {
  let steps = 0
  const weather = {
    policy: POLICY,
    limits: cloud === 'aws' ? AWS : OTHERS,
    subnets: [{ id: 'subnet', zone: 'a', cidr: '10.0.0.0/22' }],
  }
  const ledger = new Ledger(() => simulation)
  const simulation = new Simulation({
    ...weather,
    seed: 1,
    cooldownMs: 5000,
    staleMs: 3000,
    cloud: options => {
      const made = new CLOUDS[cloud](options)
      made.onChange = (before, after) => ledger.changed(before, after)
      return made
    },
    onAddress: (pod, node, _waitedMs, address) => ledger.gave(pod, node, address),
    dies: () => steps++ === deathAt,
  })
  const { agenda } = simulation
  simulation.addNode('node', 'subnet')
  for (let pod = 0; pod < PODS; pod++) agenda.after(pod * 100, () => simulation.add('node', `pod-${pod}`))
  agenda.run(GROWN_MS)
  if (simulation.agent('node')?.assigned !== PODS) throw new Violation('pods had no address in time')
  for (let pod = LEFT; pod < PODS; pod++)
    agenda.after(pod * 100, () => {
      ledger.left(`pod-${pod}`, 'node')
      simulation.remove('node', `pod-${pod}`)
    })
  agenda.run(agenda.now() + AT_REST_MS)
  checkRest({ simulation, weather, died: deathAt < steps })
  checkShrunk(simulation)
  return steps
}

/** All that was not needed any more has been given back. */
function checkShrunk({ cloud }: Simulation): void {
  const nics = [...cloud.nics.values()]
  const blocks = nics.flatMap(nic => nic.blocks)
  if (nics.length > 1 || blocks.length > 1) throw new Violation(`${nics.length} interfaces with ${blocks.join(', ')}`)
}
