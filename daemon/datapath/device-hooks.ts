/**
 * Programs on long-lived devices (uplinks, the overlay): tcx links where the kernel has them, else filters on clsact.
 * A link is pinned under program and interface index, so that the next daemon replaces its program instead of adding one.
 */
import { join } from 'node:path'
import { attachAsync, type Link, linkFromPin } from '../kernel/bpf/link.ts'
import { listPins, unpin } from '../kernel/bpf/pin.ts'
import type { Net } from '../kernel/kernel.ts'

/** tc priority of the project's filters where tcx is missing; unusual, so that uninstall removes nobody else's. */
const PRIORITY = 202

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
  readonly #filters = new Map<string, DeviceHook>()

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
    this.#dropLinks(wanted)
    for (const [name, hook] of this.#filters) if (!wanted.has(name)) this.#dropFilter(name, hook)
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
    this.#filters.set(pinName(hook), hook)
  }

  #dropLinks(wanted: ReadonlySet<string>): void {
    for (const { name, path } of listPins(this.#directory)) {
      if (wanted.has(name)) continue
      this.#links.get(name)?.[Symbol.dispose]()
      this.#links.delete(name)
      unpin(path)
    }
  }

  #dropFilter(name: string, hook: DeviceHook): void {
    this.#filters.delete(name)
    if (this.#net.link(hook.device.index) === undefined) return
    this.#net.run([{ op: 'filter-delete', at: { link: hook.device.index, side: hook.side }, priority: PRIORITY }])
  }
}

/** Indices of the devices that a former daemon left this program on; by tcx only, for filters leave no pins. */
export function hookedDevices(directory: string, program: string): number[] {
  return listPins(directory)
    .filter(pin => pin.name.startsWith(`${program}_`))
    .flatMap(pin => {
      using link = linkFromPin(pin.path)
      return link === undefined ? [] : [link.info().ifindex]
    })
}

/** Takes the programs off all devices: pinned links, and filters of this project's priority. Absent is fine. */
export function removeDeviceHooks(net: Net, directory: string): void {
  for (const { path } of listPins(directory)) unpin(path)
  const devices = net.qdiscs().filter(q => q.kind === 'clsact' && q.ingressBlock === 0 && q.egressBlock === 0)
  for (const { link } of devices) {
    for (const side of ['ingress', 'egress'] as const) removeFilter(net, { link, side })
  }
}

function removeFilter(net: Net, at: { readonly link: number; readonly side: 'ingress' | 'egress' }): void {
  try {
    net.run([{ op: 'filter-delete', at, priority: PRIORITY }])
  } catch (error) {
    if (!['ENOENT', 'EINVAL', 'ENODEV'].includes((error as { code?: string }).code ?? '')) throw error
  }
}

function pinName(hook: DeviceHook): string {
  return `${hook.program}_${hook.device.index}`
}
