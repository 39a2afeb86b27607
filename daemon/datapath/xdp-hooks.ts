/**
 * The program in front of the stack on uplinks. It saves time and does nothing that those behind it do not do as well:
 * where it cannot be attached the node goes on without it, and says so. Links are pinned by mode and interface index.
 */
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { attachAsync, linkFromPin } from '../kernel/bpf/link.ts'
import { listPins, unpin } from '../kernel/bpf/pin.ts'
import type { Net } from '../kernel/kernel.ts'

/** `auto`: in the driver where it can, else not at all. */
export type XdpMode = 'auto' | 'native' | 'generic' | 'off'
const KERNEL_MODE = { native: 'driver', generic: 'generic' } as const

export class XdpHooks {
  readonly #net: Pick<Net, 'link'>
  readonly #directory: string
  readonly #mode: XdpMode
  #outcomes: readonly Outcome[] = []

  /** `directory` holds the pins, on a bpffs. */
  constructor(net: Pick<Net, 'link'>, options: { readonly directory: string; readonly mode: XdpMode }) {
    this.#net = net
    this.#directory = options.directory
    this.#mode = options.mode
  }

  /** Attaches the program to these devices, by index, in the place of what is there, and takes it off every other. */
  async apply(devices: readonly number[], programFd: number): Promise<void> {
    const wanted = this.#mode === 'off' ? [] : devices
    // First, for a device takes no program in another mode while it has one.
    const pins = new Set(wanted.map(device => this.#pin(device)))
    for (const { name, path } of listPins(this.#directory)) if (!pins.has(name)) await remove(path)
    const outcomes: Outcome[] = []
    for (const device of wanted) outcomes.push(await this.#attach(device, programFd))
    this.#outcomes = outcomes
  }

  #pin(device: number): string {
    return `${this.#kernelMode}_${device}`
  }
  get #kernelMode(): 'native' | 'generic' {
    return this.#mode === 'generic' ? 'generic' : 'native'
  }

  /** Such as `eth0 native, eth1 off (veth …)`. */
  get fact(): string {
    return this.#outcomes.length === 0 ? 'off' : this.#outcomes.map(({ name, state }) => `${name} ${state}`).join(', ')
  }

  /** What was asked for by name and could not be had. */
  get problems(): readonly string[] {
    return this.#outcomes.flatMap(({ problem }) => problem ?? [])
  }

  async #attach(device: number, programFd: number): Promise<Outcome> {
    const link = this.#net.link(device)
    const name = link?.name ?? `${device}`
    // Packets of its other end may bear sums that a device was to finish; the program would not know.
    const path = join(this.#directory, this.#pin(device))
    if (this.#mode === 'auto' && link?.kind === 'veth') {
      await remove(path)
      return { name, state: 'off (veth)' }
    }
    const mode = this.#kernelMode
    try {
      await place(path, device, mode, programFd)
      return { name, state: mode }
    } catch (error) {
      const state = `off (${messageOf(error)})`
      if (this.#mode === 'auto') return { name, state }
      const problem = `services.xdp: ${mode} on ${name}: ${messageOf(error)}; auto or off do without`
      return { name, state, problem }
    }
  }
}

interface Outcome {
  /** Of the device. */
  readonly name: string
  readonly state: string
  readonly problem?: string
}

async function place(path: string, ifindex: number, mode: 'native' | 'generic', programFd: number): Promise<void> {
  {
    using present = linkFromPin(path)
    // A link outlives its device without an index; another device may carry that index by now.
    if (present?.info().ifindex === ifindex) return present.update(programFd)
  }
  await remove(path)
  await using link = await attachAsync(programFd, { kind: 'xdp', ifindex, mode: KERNEL_MODE[mode] })
  link.pin(path)
}

/** Unpinned only, it would be detached some time later. */
async function remove(path: string): Promise<void> {
  using link = linkFromPin(path)
  if (link === undefined) return
  await link.detachAsync()
  unpin(path)
}
