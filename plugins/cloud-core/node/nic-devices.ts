/** Which MACs devices of this node have that are up. */
import type { Net, NetEvent } from '../../../daemon/kernel/kernel.ts'

export class NicDevices {
  readonly #net: Pick<Net, 'links' | 'watch'>
  /** Indexes by MAC as of the last look; undefined before one, and when something may have changed. */
  #byMac: ReadonlyMap<string, readonly number[]> | undefined
  #watching = false

  constructor(net: Pick<Net, 'links' | 'watch'>) {
    this.#net = net
  }

  has(mac: string): boolean {
    return this.#look().has(mac)
  }

  /**
   * Calls back when a device that is one of `wanted`, or could have become one, has changed. Pods' devices come and go
   * by the hundred; they are looked at only while one is wanted that is not there.
   */
  watch(wanted: () => readonly string[], changed: () => void): Disposable {
    this.#watching = true
    this.#byMac = undefined
    const watch = this.#net.watch(['link'], event => {
      if (!this.#concerns(event, wanted())) return
      this.#byMac = undefined
      changed()
    })
    return {
      [Symbol.dispose]: () => {
        this.#watching = false
        watch[Symbol.dispose]()
      },
    }
  }

  #concerns(event: NetEvent, macs: readonly string[]): boolean {
    if (event.kind === 'overrun' || this.#byMac === undefined) return true
    if (event.kind !== 'link') return false
    const indexes = macs.map(mac => this.#byMac?.get(mac))
    if (indexes.some(known => known?.includes(event.index))) return true
    return !event.gone && indexes.includes(undefined)
  }

  #look(): ReadonlyMap<string, readonly number[]> {
    if (this.#watching && this.#byMac !== undefined) return this.#byMac
    const up = this.#net.links().filter(link => link.up && !link.loopback)
    const byMac = Map.groupBy(up, link => link.mac)
    this.#byMac = new Map([...byMac].map(([mac, links]) => [mac, links.map(link => link.index)]))
    return this.#byMac
  }
}
