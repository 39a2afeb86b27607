/**
 * Keeps the API server's objects in step with a folder of manifests: it stands for kubectl, kubelet and the controllers
 * that would write Nodes, Pods, Services and EndpointSlices. What others write to the same objects stays (server-side
 * apply, Kubernetes documentation).
 */
import { watch } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient, Response } from '../api-server/client.ts'
import { type KubeManifest, ManifestFiles } from './manifest-files.ts'

/** Where objects of a kind lie. */
const PLACES: Readonly<
  Record<string, { readonly path: string; readonly plural: string; readonly namespaced: boolean }>
> = {
  Node: { path: '/api/v1', plural: 'nodes', namespaced: false },
  Namespace: { path: '/api/v1', plural: 'namespaces', namespaced: false },
  Pod: { path: '/api/v1', plural: 'pods', namespaced: true },
  Service: { path: '/api/v1', plural: 'services', namespaced: true },
  EndpointSlice: { path: '/apis/discovery.k8s.io/v1', plural: 'endpointslices', namespaced: true },
  NetworkPolicy: { path: '/apis/networking.k8s.io/v1', plural: 'networkpolicies', namespaced: true },
  NodeNetwork: { path: '/apis/causeway.dev/v1alpha1', plural: 'nodenetworks', namespaced: false },
  EgressPolicy: { path: '/apis/causeway.dev/v1alpha1', plural: 'egresspolicies', namespaced: false },
  IPPool: { path: '/apis/causeway.dev/v1alpha1', plural: 'ippools', namespaced: false },
  NodeSettings: { path: '/apis/causeway.dev/v1alpha1', plural: 'nodesettings', namespaced: false },
}
/** What events of the file system miss is found by then. */
const LOOK_MS = 500
const APPLY = 'fieldManager=lab&force=true'

export class Mirror {
  readonly #admin: Pick<ApiClient, 'patch' | 'delete'>
  readonly #folder: string
  readonly #files: ManifestFiles
  readonly #applied = new Map<string, KubeManifest>()
  readonly #say: (text: string) => void
  #said = ''

  /** `say` hears what keeps it from bringing the folder's objects, once while it stays the same. */
  constructor(admin: Pick<ApiClient, 'patch' | 'delete'>, folder: string, say: (text: string) => void = () => {}) {
    this.#admin = admin
    this.#folder = folder
    this.#files = new ManifestFiles(folder)
    this.#say = say
  }

  /** Until the signal aborts. What the API server refuses, or cannot answer now, is said and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const changed = new AbortController()
      const watcher = watch(this.#folder, () => changed.abort())
      try {
        this.#note(await this.bring().then(() => '', wordsOf))
        await delay(LOOK_MS, undefined, { signal: AbortSignal.any([signal, changed.signal]) }).catch(() => undefined)
      } finally {
        watcher.close()
      }
    }
  }

  /** Brings the API server to what the folder holds now. Throws when it is away or refuses an object. */
  async bring(): Promise<void> {
    const wanted = new Map((await this.#files.read()).map(object => [keyOf(object), object]))
    for (const [key, object] of this.#applied)
      if (!wanted.has(key)) {
        expect(await this.#admin.delete(`${pathOf(object)}?gracePeriodSeconds=0`), [200, 202, 404])
        this.#applied.delete(key)
      }
    for (const [key, object] of wanted) {
      if (isDeepStrictEqual(this.#applied.get(key), object)) continue
      await this.#apply(object)
      this.#applied.set(key, object)
    }
  }

  #note(problem: string): void {
    if (problem !== this.#said && problem !== '') this.#say(`not brought: ${problem}`)
    this.#said = problem
  }

  async #apply(object: KubeManifest): Promise<void> {
    const { status, metadata: given, ...content } = object
    // Which is the API server's to give.
    const { uid: _, ...metadata } = given
    // A node registers with its status; of others a first apply has none.
    const rest = { ...content, metadata, ...(object.kind === 'Node' && status !== undefined && { status }) }
    const path = pathOf(object)
    const type = 'application/apply-patch+yaml'
    expect(await this.#admin.patch(`${path}?${APPLY}`, rest, type), [200, 201])
    if (status === undefined) return
    const { addresses, ...others } = status as { readonly addresses?: unknown }
    const own = object.kind === 'Node' ? others : status
    const body = { apiVersion: object.apiVersion, kind: object.kind, metadata: { name: metadata.name }, status: own }
    expect(await this.#admin.patch(`${path}/status?${APPLY}`, body, type), [200, 201])
    // Their merge key is the type, of which a node has one for each family: kubelet replaces them as a whole, too.
    if (object.kind === 'Node')
      expect(await this.#admin.patch(`${path}/status`, { status: { addresses: addresses ?? null } }), [200])
  }
}

function expect({ status, text }: Response, allowed: readonly number[]): void {
  if (!allowed.includes(status)) throw new Error(`the API server answers ${status}: ${text}`)
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function keyOf({ kind, metadata }: KubeManifest): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name}`
}

function pathOf({ kind, metadata }: KubeManifest): string {
  const place = PLACES[kind]
  if (place === undefined) throw new Error(`the lab writes no ${kind}`)
  const namespace = place.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : ''
  return `${place.path}${namespace}/${place.plural}/${metadata.name}`
}
