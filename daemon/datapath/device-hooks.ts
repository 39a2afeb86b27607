/**
 * Programs on long-lived devices (uplinks, the overlay): tcx links where the kernel has them, else filters on clsact.
 * A link is pinned under program and interface index, so that the next daemon replaces its program instead of adding one.
 */
import { join } from 'node:path'
import { attachAsync, type Link, linkFromPin } from '../kernel/bpf/link.ts'
import { listPins, unpin } from '../kernel/bpf/pin.ts'
import type { Net } from '../kernel/kernel.ts'

/** tc priority of the project's filters where tcx is missing; with their names it tells them from everybody else's. */
const PRIORITY = 202
const PROGRAMS = ['uplink_in', 'overlay_in', 'overlay_out']
const SIDES = ['ingress', 'egress'] as const

export interface DeviceHook {
  readonly program: string
  readonly device: { readonly name: string; readonly index: number }
  readonly side: 'ingress' | 'egress'
}

/** What is attached where; one instance a daemon. */
export class DeviceHooks {
  readonly #net: Net
  readonly #tcx: boolean
  readonly #directory: string
  readonly #links = new Map<string, Link>()

  /** `directory` holds the pins, on a bpffs. */
  constructor(net: Net, options: { readonly tcx: boolean; readonly directory: string }) {
    this.#net = net
    this.#tcx = options.tcx
    this.#directory = options.directory
  }

  /** Attaches exactly these hooks with these programs: new ones are added, others replaced in one step, the rest removed. */
  async apply(hooks: readonly DeviceHook[], programFd: (name: string) => number): Promise<void> {
    for (const hook of hooks) {
      if (this.#tcx) await this.#attachLink(hook, programFd(hook.program))
      else this.#attachFilter(hook, programFd(hook.program))
    }
    const wanted = new Set(hooks.map(pinName))
    // What the other way of attaching left is surplus as a whole.
    this.#dropLinks(this.#tcx ? wanted : new Set())
    removeFilters(this.#net, this.#tcx ? new Set() : wanted)
  }

  async #attachLink(hook: DeviceHook, programFd: number): Promise<void> {
    const name = pinName(hook)
    const path = join(this.#directory, name)
    const link = this.#links.get(name) ?? linkFromPin(path)
    // A link outlives its device without an index; another device may carry that index by now.
    if (link !== undefined && link.info().ifindex === hook.device.index) {
      link.update(programFd)
      this.#links.set(name, link)
      return
    }
    link?.[Symbol.dispose]()
    unpin(path)
    const fresh = await attachAsync(programFd, { kind: 'tcx', side: hook.side, ifindex: hook.device.index })
    fresh.pin(path)
    this.#links.set(name, fresh)
  }

  #attachFilter(hook: DeviceHook, programFd: number): void {
    const { index } = hook.device
    if (!this.#net.qdiscs().some(q => q.link === index && q.kind === 'clsact'))
      this.#net.run([{ op: 'clsact-add', link: index }])
    const at = { link: index, side: hook.side }
    this.#net.run([{ op: 'filter-replace', at, priority: PRIORITY, programFd, name: hook.program }])
  }

  #dropLinks(wanted: ReadonlySet<string>): void {
    for (const { name, path } of listPins(this.#directory)) {
      if (wanted.has(name)) continue
      this.#links.get(name)?.[Symbol.dispose]()
      this.#links.delete(name)
      unpin(path)
    }
  }
}

/** Indices of the devices that a former daemon left this program on. */
export function hookedDevices(net: Net, directory: string, program: string): number[] {
  const linked = listPins(directory)
    .filter(pin => pin.name.startsWith(`${program}_`))
    .flatMap(pin => {
      using link = linkFromPin(pin.path)
      return link === undefined ? [] : [link.info().ifindex]
    })
  const filtered = ownFilters(net).filter(hook => hook.program === program)
  return [...linked, ...filtered.map(hook => hook.device.index)]
}

/** Takes the programs off all devices: pinned links, and filters. Absent is fine. */
export function removeDeviceHooks(net: Net, directory: string): void {
  for (const { path } of listPins(directory)) unpin(path)
  removeFilters(net, new Set())
}

/** Removes the project's filters but those wanted, by pin name, and the qdiscs that carry none afterwards. */
function removeFilters(net: Net, wanted: ReadonlySet<string>): void {
  const surplus = ownFilters(net).filter(hook => !wanted.has(pinName(hook)))
  for (const { device, side } of surplus)
    net.run([{ op: 'filter-delete', at: { link: device.index, side }, priority: PRIORITY }])
  for (const link of new Set(surplus.map(hook => hook.device.index))) {
    const empty = SIDES.every(side => net.filters({ link, side }).length === 0)
    if (empty) net.run([{ op: 'clsact-delete', link }])
  }
}

/** Filters of this project on devices' own clsact; the pods' block is none of them. */
function ownFilters(net: Net): DeviceHook[] {
  const devices = net.qdiscs().filter(q => q.kind === 'clsact' && q.ingressBlock === 0 && q.egressBlock === 0)
  return devices.flatMap(({ link }) =>
    SIDES.flatMap(side =>
      net
        .filters({ link, side })
        .filter(f => f.priority === PRIORITY && PROGRAMS.includes(f.name))
        .map(f => ({ program: f.name, device: { name: net.link(link)?.name ?? '', index: link }, side })),
    ),
  )
}

function pinName(hook: DeviceHook): string {
  return `${hook.program}_${hook.device.index}`
}
