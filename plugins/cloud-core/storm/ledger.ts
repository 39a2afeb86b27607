/** Who has which address, and what must never happen to it: checked at the moment at which it would. */
import { formatAddress, parsePrefix } from '../../../daemon/kernel/ip.ts'
import type { Prefix } from '../../../daemon/kernel/kernel.ts'
import type { SeenNic } from '../model.ts'
import type { Simulation } from '../simulate/simulation.ts'

/** Something that must never happen. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly code = 'VIOLATION'
}

interface Holder {
  readonly node: string
  readonly pod: string
}

export class Ledger {
  readonly #simulation: () => Simulation
  readonly #holders = new Map<number, Holder>()
  readonly #addresses = new Map<string, number>()

  /** The simulation comes to be with what it tells. */
  constructor(simulation: () => Simulation) {
    this.#simulation = simulation
  }

  gave(pod: string, node: string, address: number): void {
    const other = this.#holders.get(address)
    if (other !== undefined) throw new Violation(`${text(address)} of ${node}/${pod} is that of ${key(other)}, too`)
    const simulation = this.#simulation()
    const machine = simulation.machine(node)
    if (!this.#onMachine(machine, address))
      throw new Violation(`${text(address)} of ${node}/${pod} is on no interface of ${machine}`)
    this.#holders.set(address, { node, pod })
    this.#addresses.set(key({ node, pod }), address)
  }

  left(pod: string, node: string): void {
    const address = this.#addresses.get(key({ node, pod }))
    this.#addresses.delete(key({ node, pod }))
    if (address !== undefined) this.#holders.delete(address)
  }

  /** Nothing that pods have, or have just had, may leave the machine that they are on. */
  changed(before: SeenNic | undefined, after: SeenNic | undefined): void {
    if (before === undefined || !carries(before)) return
    const left = after !== undefined && carries(after) ? new Set(after.blocks) : new Set<Prefix>()
    for (const block of before.blocks) if (!left.has(block)) this.#lost(before, block)
  }

  #lost({ id, machine }: SeenNic, block: Prefix): void {
    const simulation = this.#simulation()
    const node = simulation.nodes.find(name => simulation.machine(name) === machine)
    if (node === undefined || block.includes(':')) return
    const { value, length } = parsePrefix(block)
    for (let at = Number(value); at < Number(value) + 2 ** (32 - length); at++) {
      const holder = this.#holders.get(at)
      if (holder !== undefined) throw new Violation(`${block} left ${id} while ${key(holder)} has ${text(at)}`)
    }
    if (simulation.agent(node)?.holds(block) === true)
      throw new Violation(`${block} left ${id} while ${node} has addresses of it that cool down`)
  }

  #onMachine(machine: string | undefined, address: number): boolean {
    for (const nic of this.#simulation().cloud.nics.values())
      if (nic.machine === machine && carries(nic) && nic.blocks.some(block => covers(block, address))) return true
    return false
  }
}

/** Packets go by it. */
function carries({ status }: SeenNic): boolean {
  return status === 'attached' || status === 'attaching'
}

function covers(block: Prefix, address: number): boolean {
  if (block.includes(':')) return false
  const { value, length } = parsePrefix(block)
  return address >= Number(value) && address < Number(value) + 2 ** (32 - length)
}

function key({ node, pod }: Holder): string {
  return `${node}/${pod}`
}

function text(address: number): string {
  return formatAddress({ family: 4, value: BigInt(address) })
}
