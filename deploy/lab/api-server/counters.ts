/** What clients cost the server, for tests and benches to read. */
export interface Counts {
  /** By `verb resource`, such as `list nodes` or `patch nodes/status`; what is no resource by its path. */
  readonly requests: Readonly<Record<string, number>>
  /** The same by user. */
  readonly requestsByUser: Readonly<Record<string, number>>
  /** By status code. */
  readonly answers: Readonly<Record<string, number>>
  /** Bytes of bodies, before TLS. */
  readonly bytes: number
  /** Those of them that were events of watches, by resource. */
  readonly watchBytes: Readonly<Record<string, number>>
  readonly watchEvents: Readonly<Record<string, number>>
  readonly openWatches: Readonly<Record<string, number>>
  readonly openConnections: number
  readonly connections: number
}

export class Counters {
  readonly #requests = new Map<string, number>()
  readonly #byUser = new Map<string, number>()
  readonly #answers = new Map<string, number>()
  readonly #watchBytes = new Map<string, number>()
  readonly #watchEvents = new Map<string, number>()
  readonly #openWatches = new Map<string, number>()
  #bytes = 0

  request(what: string, user: string): void {
    add(this.#requests, what, 1)
    add(this.#byUser, user, 1)
  }

  answer(code: number): void {
    add(this.#answers, `${code}`, 1)
  }

  sent(bytes: number): void {
    this.#bytes += bytes
  }

  watchSent(resource: string, bytes: number): void {
    this.#bytes += bytes
    add(this.#watchBytes, resource, bytes)
    add(this.#watchEvents, resource, 1)
  }

  watchOpened(resource: string, by: 1 | -1): void {
    add(this.#openWatches, resource, by)
  }

  read(connections: { open: number; accepted: number }): Counts {
    return {
      requests: Object.fromEntries(this.#requests),
      requestsByUser: Object.fromEntries(this.#byUser),
      answers: Object.fromEntries(this.#answers),
      bytes: this.#bytes,
      watchBytes: Object.fromEntries(this.#watchBytes),
      watchEvents: Object.fromEntries(this.#watchEvents),
      openWatches: Object.fromEntries(this.#openWatches),
      openConnections: connections.open,
      connections: connections.accepted,
    }
  }

  /** Begins again at zero, except for what is open. */
  reset(): void {
    for (const map of [this.#requests, this.#byUser, this.#answers, this.#watchBytes, this.#watchEvents]) map.clear()
    this.#bytes = 0
  }
}

function add(map: Map<string, number>, key: string, by: number): void {
  map.set(key, (map.get(key) ?? 0) + by)
}
