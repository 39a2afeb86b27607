/**
 * Programs on long-lived devices (uplinks, the overlay): tcx links where the kernel has them, else filters on clsact.
 * A link is pinned under program and interface index, so that the next daemon replaces its program instead of adding one.
 */
import { join } from 'node:path'
import { attachAsync, type Link, linkFromPin } from '../kernel/bpf/link.ts'
import { listPins, unpin } from '../kernel/bpf/pin.ts'
import { NotSupported } from '../kernel/errors.ts'
import type { Kernel, Net } from '../kernel/kernel.ts'

/** tc priority of the project's filters where tcx is missing; with their names it tells them from everybody else's. */
const PRIORITY = 202
/** The side of a device each program belongs to. */
const SIDE = { uplink_in: 'ingress', uplink_out: 'egress', overlay_in: 'ingress', overlay_out: 'egress' } as const
const SIDES = ['ingress', 'egress'] as const

export type DeviceProgram = keyof typeof SIDE
const PROGRAMS = Object.keys(SIDE) as DeviceProgram[] // its keys and no others

export interface DeviceHook {
  readonly program: DeviceProgram
  /** Interface index. */
  readonly device: number
}

/** Whether to attach by tcx. Throws NotSupported where it is insisted on and the kernel has none. */
export function choosesTcx(kernel: Pick<Kernel, 'feature'>, wanted: 'auto' | 'on' | 'off'): boolean {
  if (wanted === 'off') return false
  const feature = kernel.feature('tcx')
  if (wanted === 'on' && feature.state === 'absent')
    throw new NotSupported(`datapath.tcx: on (${feature.reason})`, 'Linux 6.6, or datapath.tcx: auto')
  return wanted === 'on' || feature.state === 'present'
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

  /**
   * Attaches exactly these hooks with these programs: new ones are added, others replaced in one step, the rest removed.
   * Throws the first failure after all were tried, for a device that has gone keeps no other from its program; nothing
   * is removed then, since it may be what the failed one was to take the place of.
   */
  async apply(hooks: readonly DeviceHook[], programFd: (name: DeviceProgram) => number): Promise<void> {
    const failures: unknown[] = []
    for (const hook of hooks) {
      try {
        if (this.#tcx) await this.#attachLink(hook, programFd(hook.program))
        else this.#attachFilter(hook, programFd(hook.program))
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
    await this.#removeSurplus(hooks)
  }

  async #removeSurplus(hooks: readonly DeviceHook[]): Promise<void> {
    const wanted = new Set(hooks.map(pinName))
    // What the other way of attaching left is surplus as a whole.
    await this.#dropLinks(this.#tcx ? wanted : new Set())
    removeFilters(this.#net, this.#tcx ? new Set() : wanted)
  }

  async #attachLink(hook: DeviceHook, programFd: number): Promise<void> {
    const name = pinName(hook)
    const path = join(this.#directory, name)
    const link = this.#links.get(name) ?? linkFromPin(path)
    // A link outlives its device without an index; another device may carry that index by now.
    if (link !== undefined && link.info().ifindex === hook.device) {
      this.#links.set(name, link)
      link.update(programFd)
      return
    }
    link?.[Symbol.dispose]()
    this.#links.delete(name)
    unpin(path)
    this.#links.set(name, await attachAndPin(hook, programFd, path))
  }

  #attachFilter({ program, device }: DeviceHook, programFd: number): void {
    if (!this.#net.qdiscs().some(q => q.link === device && q.kind === 'clsact'))
      this.#net.run([{ op: 'clsact-add', link: device }])
    const at = { link: device, side: SIDE[program] }
    this.#net.run([{ op: 'filter-replace', at, priority: PRIORITY, programFd, name: program }])
  }

  async #dropLinks(wanted: ReadonlySet<string>): Promise<void> {
    for (const { name, path } of listPins(this.#directory)) {
      if (wanted.has(name)) continue
      using link = this.#links.get(name) ?? linkFromPin(path)
      this.#links.delete(name)
      // Unpinned only, it would be detached some time later, and the program could not be attached there until then.
      await link?.detachAsync()
      unpin(path)
    }
  }
}

async function attachAndPin({ program, device }: DeviceHook, programFd: number, path: string): Promise<Link> {
  const link = await attachAsync(programFd, { kind: 'tcx', side: SIDE[program], ifindex: device })
  try {
    link.pin(path)
    return link
  } catch (error) {
    // Left open it would stay attached, and the next try find the program there already.
    await link[Symbol.asyncDispose]()
    throw error
  }
}

/** Indices of the devices that a former daemon left this program on. */
export function hookedDevices(net: Net, directory: string, program: DeviceProgram): number[] {
  const linked = listPins(directory)
    .filter(pin => pin.name.startsWith(`${program}_`))
    .flatMap(pin => {
      using link = linkFromPin(pin.path)
      return link === undefined ? [] : [link.info().ifindex]
    })
  const filtered = ownFilters(net).filter(hook => hook.program === program)
  return [...linked, ...filtered.map(hook => hook.device)]
}

/** Takes the programs off all devices: pinned links, and filters. Absent is fine. */
export function removeDeviceHooks(net: Net, directory: string): void {
  for (const { path } of listPins(directory)) unpin(path)
  removeFilters(net, new Set())
}

/** Removes the project's filters but those wanted, by pin name, and the qdiscs that carry none afterwards. */
function removeFilters(net: Net, wanted: ReadonlySet<string>): void {
  const surplus = ownFilters(net).filter(hook => !wanted.has(pinName(hook)))
  for (const { device, program } of surplus)
    net.run([{ op: 'filter-delete', at: { link: device, side: SIDE[program] }, priority: PRIORITY }])
  for (const link of new Set(surplus.map(hook => hook.device))) {
    const empty = SIDES.every(side => net.filters({ link, side }).length === 0)
    if (empty) net.run([{ op: 'clsact-delete', link }])
  }
}

/** Filters of this project on devices' own clsact; the pods' block is none of them. */
function ownFilters(net: Net): DeviceHook[] {
  const devices = net.qdiscs().filter(q => q.kind === 'clsact' && q.ingressBlock === 0 && q.egressBlock === 0)
  return devices.flatMap(({ link }) =>
    PROGRAMS.filter(program =>
      net.filters({ link, side: SIDE[program] }).some(f => f.priority === PRIORITY && f.name === program),
    ).map(program => ({ program, device: link })),
  )
}

function pinName({ program, device }: DeviceHook): string {
  return `${program}_${device}`
}
