/**
 * Ends UDP sockets that a service has given a backend which is no longer there: their programs hear it and ask the service
 * again, which else they never would. Those that speak to the same pod past the service stay, and those of TCP too, whose
 * connections end with their pod.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { fromMapped16 } from '../kernel/ip.ts'
import type { BpfMap } from '../kernel/kernel.ts'
import type { Remote } from '../kernel/netlink/sock-diag.ts'
import type { Logger } from '../plugin.ts'
import { PROTOCOL_NUMBERS } from '../service/protocol-numbers.ts'
import type { CarriedBackend, CarriedKey } from './service-carried.ts'
import { ServiceScope, type SocketPeer, type SocketPeerKey } from './shared.gen.ts'

/** Backends that a frontend no longer has. */
export interface LostBackends {
  readonly frontend: CarriedKey
  readonly backends: readonly CarriedBackend[]
}

export interface SocketEndsOptions {
  /** What sockets really speak to, and what they believe to; a growing map is replaced. */
  readonly peers: () => BpfMap<SocketPeerKey, SocketPeer>
  /** Paths of the namespaces that there are sockets in. */
  readonly namespaces: () => Iterable<string>
  /** `endUdpSockets`. */
  readonly end: (netns: string, remote: Remote, meant: (cookie: bigint) => boolean) => number
  readonly log: Logger
}

/** Entries looked at before others have their turn. */
const ENTRIES_AT_ONCE = 4096

export class SocketEnds {
  readonly #options: SocketEndsOptions
  /** What sockets believed to speak to, by what they really do. */
  #lost = new Map<string, Set<string>>()
  #working: Promise<void> | undefined
  /** Since the start. */
  ended = 0

  constructor(options: SocketEndsOptions) {
    this.#options = options
  }

  /** Call once no socket can be given these backends any more. */
  add(lost: readonly LostBackends[]): void {
    for (const { frontend, backends } of lost) {
      if (frontend.protocol !== PROTOCOL_NUMBERS.UDP || frontend.scope !== ServiceScope.SERVICE_INSIDE) continue
      for (const backend of backends) {
        const of = this.#lost.get(placeText(backend)) ?? new Set()
        this.#lost.set(placeText(backend), of.add(placeText(frontend)))
      }
    }
    if (this.#lost.size > 0) this.#working ??= this.#work().finally(() => (this.#working = undefined))
  }

  /** Resolves when all is done that was added so far. */
  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  async #work(): Promise<void> {
    await turn()
    for (let lost = this.#lost; lost.size > 0; lost = this.#lost) {
      this.#lost = new Map()
      const sockets = await this.#find(lost)
      if (sockets.size > 0) await this.#end(sockets)
    }
  }

  /** Cookies of the sockets, by whom they really speak to. */
  async #find(lost: ReadonlyMap<string, ReadonlySet<string>>): Promise<Map<string, Set<bigint>>> {
    const found = new Map<string, Set<bigint>>()
    let looked = 0
    for (const [key, believed] of this.#options.peers().entries()) {
      const remote = textOf(key)
      if (lost.get(remote)?.has(textOf(believed))) found.set(remote, (found.get(remote) ?? new Set()).add(key.cookie))
      if (++looked % ENTRIES_AT_ONCE === 0) await turn()
    }
    return found
  }

  async #end(sockets: ReadonlyMap<string, ReadonlySet<bigint>>): Promise<void> {
    const { namespaces, end, log } = this.#options
    let ended = 0
    for (const netns of namespaces()) {
      try {
        for (const [remote, cookies] of sockets) ended += end(netns, remoteOf(remote), cookie => cookies.has(cookie))
      } catch (error) {
        // A pod that goes takes its sockets with it.
        log.debug({ netns, error }, 'sockets to a removed backend could not be ended')
      }
      await turn()
    }
    this.ended += ended
    if (ended > 0) log.info({ ended, backends: [...sockets.keys()] }, 'UDP sockets to removed backends were ended')
  }
}

function textOf({ address, port }: { readonly address: Uint8Array; readonly port: number }): string {
  return placeText({ address: fromMapped16(address), port })
}

function placeText({ address, port }: Remote): string {
  return `${address} ${port}`
}

function remoteOf(text: string): Remote {
  const [address = '', port] = text.split(' ')
  return { address, port: Number(port) }
}
