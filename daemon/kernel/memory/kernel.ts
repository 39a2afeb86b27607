/**
 * The `Kernel` port over a machine in memory, as one process sees it. A test can have a request refused (`failAt`) or
 * the process ended at it (`stopAt`, `stop`): then nothing is undone and every later request throws `Stopped`.
 */
import type { Feature, Kernel, Net, NetnsId } from '../kernel.ts'
import type { Machine } from './machine.ts'
import type { Namespace } from './namespace.ts'
import { MemoryNet } from './net.ts'
import { type Refusal, refuse, Stopped } from './refuse.ts'

export class MemoryKernel implements Kernel {
  readonly machine: Machine
  readonly release = '6.18.0-memory'
  readonly net: Net
  #requests = 0
  #fault: { readonly at: number; readonly error: () => Error } | undefined
  #stopped = false

  constructor(machine: Machine) {
    this.machine = machine
    this.net = new MemoryNet(this, machine.host)
  }

  get bootId(): string {
    return this.machine.bootId
  }
  get stopped(): boolean {
    return this.#stopped
  }
  /** Requests for a change so far; with it a test finds out how many there are to fail. */
  get requests(): number {
    return this.#requests
  }

  /** The n-th request from now (from 1) is refused with that errno; later ones are carried out again. */
  failAt(n: number, code: Refusal): void {
    this.#fault = { at: this.#requests + n, error: () => refuse(code, 'injected') }
  }
  /** The process ends instead of making its n-th request from now. */
  stopAt(n: number): void {
    const error = (): Error => {
      this.#stopped = true
      return new Stopped()
    }
    this.#fault = { at: this.#requests + n, error }
  }
  /** Takes a fault back that has not happened yet. */
  forgive(): void {
    this.#fault = undefined
  }
  /** The process ends now. */
  stop(): void {
    this.#stopped = true
  }
  /** Throws `Stopped` once the process has ended. */
  checkAlive(): void {
    if (this.#stopped) throw new Stopped()
  }
  /** Counts a request for a change and throws the fault that was set for it. */
  count(): void {
    this.checkAlive()
    if (++this.#requests !== this.#fault?.at) return
    const { error } = this.#fault
    this.#fault = undefined
    throw error()
  }

  openNet(netnsPath: string): Net {
    this.checkAlive()
    return new MemoryNet(this, this.machine.namespaceAt(netnsPath))
  }
  netnsId(netnsPath: string): NetnsId | undefined {
    this.checkAlive()
    return this.#find(netnsPath)?.id
  }
  sysctl(name: string, netnsPath?: string): string | undefined {
    this.checkAlive()
    const ns = netnsPath === undefined ? this.machine.host : this.machine.namespaceAt(netnsPath)
    return ns.sysctls.get(name) ?? (deviceOf(name, ns) === undefined ? undefined : '0')
  }
  setSysctl(name: string, value: string, netnsPath?: string): void {
    this.count()
    const ns = netnsPath === undefined ? this.machine.host : this.machine.namespaceAt(netnsPath)
    const device = deviceOf(name, ns)
    if (device === undefined) throw refuse('ENOENT', `set ${name}`)
    ns.sysctls.set(name, value)
    if (!name.endsWith('.disable_ipv6') || device !== 'all') return
    // Linux carries `all` over to every device and to the default (addrconf_disable_ipv6).
    const names = ['default', ...[...ns.links.values()].map(link => link.name)]
    for (const each of names) ns.sysctls.set(`net.ipv6.conf.${each}.disable_ipv6`, value)
  }
  feature(): Feature {
    return { state: 'present' }
  }

  #find(path: string): Namespace | undefined {
    try {
      return this.machine.namespaceAt(path)
    } catch {
      return undefined
    }
  }
}

/** The device of `net.ipvN.conf.DEVICE.x` when it exists; empty for names outside `conf`. */
function deviceOf(name: string, ns: Namespace): string | undefined {
  const match = /^net\.ipv[46]\.conf\.(.+)\.\w+$/.exec(name)
  if (!match) return ''
  const device = match[1] ?? ''
  return device === 'all' || device === 'default' || ns.named(device) ? device : undefined
}
