/**
 * The `Kernel` port over a machine in memory, as one process sees it. A test can have a request refused (`failAt`) or
 * the process ended at it (`stopAt`, `stop`): then nothing is undone and every later request throws `Stopped`.
 */
import type { Feature, FeatureName, Kernel, Net, NetnsId } from '../kernel.ts'
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
    return ns.sysctls.get(name)
  }
  setSysctl(name: string, value: string, netnsPath?: string): void {
    this.count()
    const ns = netnsPath === undefined ? this.machine.host : this.machine.namespaceAt(netnsPath)
    ns.sysctls.set(name, value)
  }
  feature(name: FeatureName): Feature {
    return this.machine.lacks.has(name) ? { state: 'absent', reason: `${name} is left out` } : { state: 'present' }
  }

  #find(path: string): Namespace | undefined {
    try {
      return this.machine.namespaceAt(path)
    } catch {
      return undefined
    }
  }
}
