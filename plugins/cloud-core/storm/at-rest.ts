/** What must hold when a storm is over and everything has come to rest. */
import type { Limits, Policy, SeenNic, SubnetId } from '../model.ts'
import type { Simulation } from '../simulate/simulation.ts'
import { Violation } from './ledger.ts'

/** What has been run, and what its machines can hold. */
export interface Ran {
  readonly simulation: Simulation
  readonly weather: {
    readonly policy: Policy
    readonly limits: Limits
    readonly subnets: readonly { readonly id: SubnetId }[]
  }
  /** The leader died while calls were under way. */
  readonly died: boolean
}

export function checkRest(ran: Ran): void {
  const { cloud, nodes } = ran.simulation
  for (const nic of cloud.nics.values()) checkNic(ran, nic)
  for (const node of nodes) {
    checkPublished(ran, node)
    checkServed(ran, node)
  }
  for (const [api, { throttled, injected }] of cloud.tallies)
    if (throttled > injected) throw new Violation(`${throttled - injected} calls of ${api} were beyond the budget`)
  if (cloud.overlapping > 0 && !ran.died)
    throw new Violation(`${cloud.overlapping} writes came while another was under way`)
}

function checkNic({ simulation }: Ran, nic: SeenNic): void {
  if (nic.token === '') return
  if (nic.status === 'available') throw new Violation(`${nic.id} of ${nic.node} is left over`)
  if (!nic.deletedWithMachine) throw new Violation(`${nic.id} of ${nic.machine} would outlive its machine`)
  if (!simulation.cloud.machines.has(nic.machine))
    throw new Violation(`${nic.id} is on ${nic.machine}, which has ended`)
}

/** What is written down is what there is. */
function checkPublished({ simulation }: Ran, node: string): void {
  const published = simulation.published(node)
  const machine = simulation.machine(node)
  const there: string[] = []
  for (const nic of simulation.cloud.nics.values())
    if (nic.machine === machine && nic.forPods) for (const block of nic.blocks) there.push(`${block} on ${nic.id}`)
  const known = (published?.blocks ?? []).filter(({ phase }) => phase !== 'released')
  const said = known.map(({ block, nic }) => `${block} on ${nic}`)
  const [a, b] = [there.sort().join(', '), said.sort().join(', ')]
  if (a !== b) throw new Violation(`${node} has ${a}, and it is written down that it has ${b}`)
  if ((published?.intents.length ?? 0) > 0) throw new Violation(`${node} still waits for an interface`)
}

function checkServed(ran: Ran, node: string): void {
  const waiting = ran.simulation.agent(node)?.waiting ?? 0
  if (waiting > 0 && hasRoom(ran, node)) throw new Violation(`${waiting} pods of ${node} have no address`)
}

/** Whether the machine could have one more address. */
function hasRoom({ simulation, weather }: Ran, node: string): boolean {
  const { cloud } = simulation
  const machine = simulation.machine(node)
  const nics = [...cloud.nics.values()].filter(nic => nic.machine === machine)
  const usable = nics.filter(nic => nic.forPods && nic.index >= weather.policy.firstNic)
  const roomy = usable.filter(nic => nic.blocks.filter(block => !block.includes(':')).length < weather.limits.slots)
  if (roomy.some(nic => cloud.single(nic.subnet) > 0)) return true
  const more = !weather.limits.wholeWrites && nics.length < weather.limits.nics
  return more && weather.subnets.some(({ id }) => cloud.single(id) > 1)
}
