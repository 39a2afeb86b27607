/**
 * A Kubernetes API server in memory: one working thing for tests and for the lab, with no etcd, no controllers but the
 * garbage collector, and faults that can be set. README.md says what is real about it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Users } from './access/users.ts'
import { bootstrap } from './bootstrap.ts'
import type { Cluster } from './cluster.ts'
import { Counters, type Counts } from './counters.ts'
import type { Control } from './faults/control.ts'
import type { FaultOptions } from './faults/fault.ts'
import { Faults, type SetFault } from './faults/faults.ts'
import { Registry } from './kinds/registry.ts'
import { loadObjects } from './load.ts'
import type { KubeObject } from './objects/kube-object.ts'
import { restoreObjects, saveObjects } from './objects/saved.ts'
import { Store } from './objects/store.ts'
import { Watches } from './read/watches.ts'
import { handle } from './serve/handle.ts'
import { kubeconfig } from './serve/kubeconfig.ts'
import { Listener } from './serve/listener.ts'
import { makeCertificates, type Validity } from './serve/tls.ts'
import { collectGarbage } from './write/garbage.ts'

export interface ApiServerOptions {
  /** Address to listen at, by default 127.0.0.1. */
  readonly host?: string
  /** By default one that is free. */
  readonly port?: number
  /** Names and addresses the certificate holds for besides `host` and the usual ones. */
  readonly hosts?: readonly string[]
  /** By which name or address clients are told to find it, where that is not `host`: one of `hosts`. */
  readonly advertise?: string
  /** When the server's certificate is good, by default from an hour ago for a year. */
  readonly validity?: Validity
  /** Where the certificate authority is kept; by default nowhere, and the next server has another. */
  readonly folder?: string
  /** What tokens are derived from; by default random. */
  readonly secret?: string
  /** Changes that each resource remembers; what is older is answered with 410. By default 20,000. */
  readonly historyLimit?: number
  /** How often watches get bookmarks, by default every 60,000 ms as in kube-apiserver. */
  readonly bookmarkMs?: number
  /** Objects to begin with, as `save` wrote them; by default those that every cluster has. */
  readonly saved?: string
  /** The clock of creation times and the like, by default the machine's. */
  readonly now?: () => Date
}

/** A running server. Faults, counters and the rest can be had over HTTP too: `faults/control.ts`. */
export interface ApiServer extends AsyncDisposable, Control {
  readonly url: string
  readonly port: number
  /** PEM text of the authority that signed the server's certificate. */
  readonly ca: string
  readonly adminToken: string
  /** The token of a service account; nothing needs to be made for it. */
  serviceAccount(namespace: string, name: string): string
  /** The token of a user of any name and groups. */
  user(name: string, groups?: readonly string[]): string
  /** Makes a token unknown, so that it is answered with 401. */
  revoke(token: string): void
  /** A kubeconfig (YAML) for a token. */
  kubeconfig(token: string): string
  /** Fills in many objects at once, of any served kinds, without telling watches: see `load.ts`. */
  load(objects: Iterable<KubeObject>): void
  /** All objects as a text, for `saved`. */
  save(): string
  /** Ends every connection and refuses new ones. */
  down(): Promise<void>
  /** Ends `down`, at the same port. */
  up(): Promise<void>
  /** While it holds, connections are accepted and nothing ever comes back on them. */
  halfOpen(holds: boolean): void
}

/** Resolves once it listens. Rejects when the port is taken, `saved` cannot be read or `openssl` is missing. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const { host = '127.0.0.1', port = 0, hosts = [] } = options
  const { ca, listener, cluster, control } = await prepare(options, host, hosts)
  if (options.saved === undefined) bootstrap(cluster)
  else restoreObjects(cluster.store, cluster.registry, options.saved)
  const stopCollecting = collectGarbage(cluster)
  await listener.listen(port)
  const name = options.advertise ?? host
  const url = `https://${name.includes(':') ? `[${name}]` : name}:${listener.port}`
  const { users } = cluster
  return {
    ...control,
    url,
    port: listener.port,
    ca,
    adminToken: users.adminToken,
    serviceAccount: (namespace, name) => users.serviceAccount(namespace, name),
    user: (name, groups) => users.add(name, groups),
    revoke: token => users.revoke(token),
    kubeconfig: token => kubeconfig({ url, ca, token }),
    load: objects => loadObjects(cluster, objects),
    save: () => saveObjects(cluster.store, cluster.registry),
    down: () => listener.down(),
    up: () => listener.up(),
    halfOpen: holds => {
      listener.halfOpen = holds
    },
    [Symbol.asyncDispose]: async () => {
      stopCollecting()
      control.stop()
      cluster.watches.end()
      await listener[Symbol.asyncDispose]()
    },
  }
}

interface Prepared {
  readonly ca: string
  readonly listener: Listener
  readonly cluster: Cluster
  readonly control: Control & { readonly stop: () => void }
}

async function prepare(options: ApiServerOptions, host: string, hosts: readonly string[]): Promise<Prepared> {
  const counters = new Counters()
  const cluster: Cluster = {
    store: new Store(options.historyLimit === undefined ? {} : { historyLimit: options.historyLimit }),
    registry: new Registry(),
    users: new Users(options.secret),
    faults: new Faults(),
    counters,
    watches: new Watches(counters),
    bookmarkMs: options.bookmarkMs ?? 60_000,
    now: () => `${(options.now?.() ?? new Date()).toISOString().slice(0, 19)}Z`,
  }
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'causeway-api-server-')))
  try {
    const { validity = usualValidity() } = options
    const certificates = await makeCertificates(folder, [...hosts, ...(isIP(host) === 0 ? [] : [host])], validity)
    const listener: Listener = new Listener(host, certificates, (request, response) => {
      void handle(cluster, control, request, response)
    })
    const control = makeControl(cluster, listener)
    return { ca: certificates.ca, listener, cluster, control }
  } finally {
    if (options.folder === undefined) await rm(folder, { recursive: true, force: true })
  }
}

const HOUR_MS = 3_600_000

function usualValidity(): Validity {
  return { from: new Date(Date.now() - HOUR_MS), until: new Date(Date.now() + 365 * 24 * HOUR_MS) }
}

function makeControl(cluster: Cluster, listener: Listener): Prepared['control'] {
  const timers = new Set<NodeJS.Timeout>()
  const after = (ms: number, action: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      action()
    }, ms)
    timers.add(timer)
  }
  return {
    addFault: options => addFault(cluster, options),
    removeFault: id => cluster.faults.remove(id),
    clearFaults: () => cluster.faults.clear(),
    faults: () => cluster.faults.all(),
    counters: (): Counts => cluster.counters.read(listener),
    resetCounters: () => cluster.counters.reset(),
    forget: () => cluster.store.forget(),
    downFor: ms => {
      void listener.down()
      after(ms, () => void listener.up())
    },
    halfOpenFor: (ms, cuts) => {
      listener.halfOpen = true
      if (cuts) listener.cut()
      after(ms, () => {
        listener.halfOpen = false
        listener.cut()
      })
    },
    cutConnections: () => listener.cut(),
    stop: () => {
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

/** Sets a fault, and has it meet the watches that are open. */
function addFault(cluster: Cluster, options: FaultOptions): SetFault {
  const revision = options.revision ?? cluster.store.revision
  const fault = cluster.faults.add(options.kind === 'stale' ? { ...options, revision } : options)
  cluster.watches.meet(fault, cluster.faults)
  return fault
}
