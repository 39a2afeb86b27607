/**
 * The plugin contract. A plugin returns its parts and registers nothing by side effect. Plugins import this file,
 * `daemon/state`, `daemon/kernel` and themselves, nothing else of the project.
 */
import type { Family, Kernel, LinkSizes } from './kernel/kernel.ts'
import type { ReconcilerStatus } from './state/reconcile.ts'
import type { EndpointRow, Tables } from './state/tables.ts'

/** The errors a plugin throws; stated here so that a plugin needs no further import. */
export { AddressInUse, AddressNotInPool, CausewayError, ConfigError, PoolExhausted, UnknownPool } from './errors.ts'
export { NotSupported } from './kernel/errors.ts'
/** How a plugin's command shows rows. */
export { textTable } from './cli/text-table.ts'

/** Lines are JSON objects; an error goes under the key `error`, where it is written with code, stack and causes. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface Counter {
  inc(labels?: Readonly<Record<string, string>>, by?: number): void
}
export interface Gauge {
  set(value: number, labels?: Readonly<Record<string, string>>): void
}
export interface Histogram {
  observe(value: number, labels?: Readonly<Record<string, string>>): void
}
/**
 * Names are given without the `causeway_` prefix, in Prometheus form (unit suffix, `_total` for counters). The same
 * counter or gauge declared again is the one declared before; another of its name throws RangeError.
 */
export interface Metrics {
  /**
   * A collector is called at each exposition with an emptied counter, which it brings to the present totals; one of a gauge
   * may take its time.
   */
  counter(name: string, help: string, labels?: readonly string[], collect?: (counter: Counter) => void): Counter
  gauge(name: string, help: string, labels?: readonly string[], collect?: (gauge: Gauge) => void | Promise<void>): Gauge
  histogram(name: string, help: string, buckets: readonly number[], labels?: readonly string[]): Histogram
}

/** Everything the daemon offers a plugin. */
export interface Host {
  readonly log: Logger
  readonly metrics: Metrics
  /** Aborted when the daemon stops; pass it to every wait. */
  readonly signal: AbortSignal
  readonly kernel: Kernel
  readonly tables: Tables
  readonly nodeName: string
  /** Those of the addresses that pods get. */
  readonly families: readonly Family[]
  /** Runs at shutdown, last registered first. */
  defer(d: AsyncDisposable): void
}

/** A plugin is a value. Its folder under plugins/ has the same name, which is also its section in the configuration. */
export interface Plugin {
  readonly name: string
  /** Plugins whose parts must exist first, when both are enabled. */
  readonly after?: readonly string[]
  /** Checks this plugin's section of the configuration; throws ConfigError naming the key. Touches nothing else. */
  configure(raw: unknown): Setup
}
/** Builds the parts: validates and allocates. I/O belongs in `run` or a reconciler. May throw NotSupported. */
export type Setup = (host: Host) => Promise<Parts> | Parts

export interface Parts {
  readonly ipam?: Ipam
  readonly encryption?: Encryption
  readonly datapath?: DatapathPart
  readonly links?: LinkShaper
  readonly reconcilers?: readonly AnyReconciler[]
  readonly commands?: readonly Command[]
  /**
   * Called at a pod's ADD, when its row is in table `endpoints`; ADD is answered once the rows that this has written for
   * it are in the kernel. A rejection fails the ADD. Waits no longer than a moment: kubelet waits too.
   */
  admit?(pod: EndpointRow, signal: AbortSignal): Promise<void>
  /** What a person must see to, for `causeway status`: where (`file:line`, a key) and what. */
  problems?(): readonly Problem[]
  /** A loop that ends when the signal aborts. A rejection stops the daemon. */
  run?(signal: AbortSignal): Promise<void>
}

export interface Problem {
  readonly place: string
  readonly message: string
}

/** Something that carries a table into the kernel or a cloud until the signal aborts. */
export interface AnyReconciler {
  readonly name: string
  start(signal: AbortSignal): Promise<void>
  /** What has not been carried yet and why, for `causeway status`. */
  status?(): ReconcilerStatus
}

/** A pod as the runtime names it; the Kubernetes fields are empty when the runtime gave none. */
export interface PodRef {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

export interface AddressRequest {
  /** Attachment key `network/containerID/ifname`: an address belongs to a key, never to an IP alone. */
  readonly owner: string
  readonly pod: PodRef
  readonly family: Family
  /** Absent: DEFAULT_POOL. */
  readonly pool?: string
  /** A particular address the runtime asked for (`runtimeConfig.ips`); refused when held by another owner. */
  readonly address?: string
}
export interface Lease {
  readonly owner: string
  readonly family: Family
  /** Without prefix length; a pod's address is always a host address (/32, /128). */
  readonly address: string
  readonly pool: string
}
/** Texts that outlive the daemon and the kernel, on disk. */
export interface Notes {
  /** As they were at the start. */
  readonly entries: ReadonlyMap<string, string>
  /** False when some may have been lost. */
  readonly complete: boolean
  /**
   * Resolves when it is on the disk; undefined takes the note away. When it rejects the disk may have either. Never more
   * than some thousands: all of them are written anew now and then.
   */
  write(key: string, text: string | undefined): Promise<void>
}
/** An address that was given back before the daemon started, and how long before. */
export interface Released {
  readonly lease: Lease
  readonly agoMs: number
}
export interface PoolStatus {
  readonly pool: string
  readonly family: Family
  readonly ranges: readonly string[]
  readonly total: number
  readonly used: number
  readonly cooling: number
  readonly excluded: number
  readonly free: number
  /** Where more come from when no address is free, so that pods can be started all the same; absent: from nowhere. */
  readonly more?: string
  /** Blocks that the ranges are part of, by their state; absent where there are none. */
  readonly blocks?: Readonly<Record<string, number>>
}
/** The pool of pods that ask for no other; some plugin must serve it. */
export const DEFAULT_POOL = 'default'

/** Slot `ipam`: one implementation per pool name. Held to test/support/ipam-compliance.ts. */
export interface Ipam {
  readonly pools: readonly string[]
  /**
   * The same owner asking twice gets the same lease. Waits while addresses cool down or the pool is still being filled;
   * when the signal aborts that wait, throws what it waited for. Throws PoolExhausted (with numbers; and where waiting is
   * no use or the pod may have an address of another pool, saying that), AddressInUse, AddressNotInPool, UnknownPool.
   */
  allocate(request: AddressRequest, signal: AbortSignal): Promise<Lease>
  /**
   * Idempotent; a lease held by another owner by now is left alone. The address should cool down before it is given
   * again, since others may still talk to its last holder. The daemon waits until the signal aborts, and asks again later.
   */
  release(lease: Lease, signal: AbortSignal): Promise<void>
  /**
   * Claims the leases of pods that outlived the last daemon, also those it would not give today; of two owners of one
   * address the first counts, and the plugin says so in its log. What was released shortly before cools down for the
   * rest of its time. The notes are its own. Called once, before the first allocate.
   */
  restore(leases: readonly Lease[], released: readonly Released[], notes: Notes): Promise<void>
  status(): readonly PoolStatus[]
}

export interface Encryption {
  /** What it adds to a packet; paths get MTUs that leave room for it. */
  readonly overheadBytes: number
}

/** What a plugin asks of the datapath; `config` are load-time constants of the programs, by their name in bpf/lib/config.h. */
export interface DatapathPart {
  /** There is an overlay device, also where no path to a pod uses it. */
  readonly overlay?: boolean
  readonly config?: Readonly<Record<string, number | bigint | boolean>>
}

export interface LinkShaper {
  /** Pure: the sizes a link shall have, given those planned so far. */
  shape(link: { readonly name: string; readonly role: 'pod' }, sizes: LinkSizes): LinkSizes
}

/** `causeway NAME …`: run by the daemon, whose state it may use. */
export interface Command {
  /** Lower-case words joined by -; no other command's. */
  readonly name: string
  readonly summary: string
  /** Exit status. The signal aborts when the caller hangs up or the daemon stops. */
  run(args: readonly string[], out: NodeJS.WritableStream, signal: AbortSignal): Promise<number>
}
