/** One namespace of the in-memory kernel as a `Net`. */
import type {
  AddressInfo,
  FilterInfo,
  FilterPlace,
  LinkInfo,
  LinkRef,
  NeighbourInfo,
  Net,
  NetEvent,
  NetGroup,
  NetRequest,
  QdiscInfo,
  RouteInfo,
  Rule,
} from '../kernel.ts'
import { apply } from './apply.ts'
import type { MemoryKernel } from './kernel.ts'
import { describeLink } from './links.ts'
import type { Namespace } from './namespace.ts'
import { Stopped } from './refuse.ts'
import { lookupRoute } from './routes.ts'

export class MemoryNet implements Net {
  readonly #kernel: MemoryKernel
  readonly #ns: Namespace

  constructor(kernel: MemoryKernel, ns: Namespace) {
    this.#kernel = kernel
    this.#ns = ns
  }

  run(requests: readonly NetRequest[]): void {
    let first: unknown
    for (const request of requests) {
      try {
        this.#kernel.count()
        apply(this.#ns, request, path => this.#kernel.machine.namespaceAt(path))
      } catch (error) {
        if (error instanceof Stopped) throw error
        first ??= error
      }
    }
    if (first !== undefined) throw first
  }
  /** Waits for the machine's grace period, then carries the requests out. */
  async runBlocking(requests: readonly NetRequest[]): Promise<void> {
    this.#kernel.checkAlive()
    await this.#kernel.machine.gracePeriod()
    this.run(requests)
  }

  link(ref: LinkRef): LinkInfo | undefined {
    const link = this.#alive.find(ref)
    return link && describeLink(link)
  }
  links(): LinkInfo[] {
    return [...this.#alive.links.values()].map(link => describeLink(link))
  }
  addresses(): AddressInfo[] {
    return [...this.#alive.addresses]
  }
  routes(protocol?: number): RouteInfo[] {
    return this.#alive.routes.filter(r => protocol === undefined || r.protocol === protocol)
  }
  rules(): Rule[] {
    return [...this.#alive.rules]
  }
  neighbours(): NeighbourInfo[] {
    return [...this.#alive.neighbours]
  }
  qdiscs(): QdiscInfo[] {
    return [...this.#alive.qdiscs]
  }
  filters(at: FilterPlace): FilterInfo[] {
    if (!this.#alive.hasPlace(at)) return []
    const place = this.#alive.place(this.#alive.blockAt(at))
    const found = this.#alive.filters.filter(f => f.place === place).map(({ priority, name }) => ({ priority, name }))
    return found.sort((a, b) => a.priority - b.priority)
  }
  routeTo(address: string): RouteInfo | undefined {
    return lookupRoute(this.#alive, address)
  }
  /**
   * Events arrive in a later turn, as those of a socket do, and never after the process has ended; kinds without a name
   * once a turn.
   */
  watch(groups: readonly NetGroup[], onEvent: (event: NetEvent) => void): Disposable {
    const coming = new Set<NetEvent['kind']>()
    const watcher = {
      notify: (group: NetGroup, event: NetEvent) => {
        if (!groups.includes(group) || coming.has(event.kind)) return
        if (event.kind !== 'link') coming.add(event.kind)
        setImmediate(() => {
          coming.delete(event.kind)
          if (!this.#kernel.stopped && this.#ns.watchers.has(watcher)) onEvent(event)
        })
      },
    }
    this.#ns.watchers.add(watcher)
    return { [Symbol.dispose]: () => void this.#ns.watchers.delete(watcher) }
  }
  [Symbol.dispose](): void {}

  get #alive(): Namespace {
    this.#kernel.checkAlive()
    return this.#ns
  }
}
