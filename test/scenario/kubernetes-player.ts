/**
 * Stories for the kubernetes source: their objects, at an API server. A node's source knows the pods of that node alone,
 * so a story is played to the sources of several nodes, which must agree on everything else.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dump } from '../../daemon/state/dump.ts'
import { createTables, type Tables } from '../../daemon/state/tables.ts'
import { type KubeManifest, ManifestFiles } from '../../deploy/lab/kubernetes/manifest-files.ts'
import { Mirror } from '../../deploy/lab/kubernetes/mirror.ts'
import type { TestApi } from '../support/api-server.ts'
import { runSource, type RunningSource, startOwnApi } from '../support/kubernetes-source.ts'
import type { Known, Player } from './play.ts'
import { SourceMarkers } from './source-markers.ts'

/** When every object of a story was created, by the API server's clock. */
const CREATED = new Date('2026-01-01T00:00:00Z')

/** Tables that are the same on every node. */
const ALIKE = ['nodes', 'services', 'endpointSlices', 'namespaces', 'networkPolicies', 'egressPolicies'] as const

interface NodeSource {
  readonly node: string
  readonly tables: Tables
  running: RunningSource | undefined
}

export class KubernetesPlayer implements Player {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cw-story-'))
  readonly #files = new ManifestFiles(this.#folder)
  readonly #api: TestApi
  readonly #mirror: Mirror
  readonly #sources: readonly NodeSource[]
  readonly #markers: SourceMarkers
  readonly #owned: AsyncDisposableStack

  private constructor(api: TestApi, nodes: ReadonlyMap<string, Tables>, owned: AsyncDisposableStack) {
    this.#api = api
    this.#mirror = new Mirror(api.admin, this.#folder)
    this.#sources = [...nodes].map(([node, tables]) => ({ node, tables, running: undefined }))
    this.#markers = new SourceMarkers(api.admin, this.#sources)
    this.#owned = owned
  }

  /** Sources of these nodes write these tables. */
  static async start(nodes: ReadonlyMap<string, Tables>): Promise<KubernetesPlayer> {
    await using stack = new AsyncDisposableStack()
    const api = stack.use(await startOwnApi({ now: () => CREATED }))
    return new KubernetesPlayer(api, nodes, stack.move())
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.#folder, file), text)
  }

  delete(file: string): void {
    rmSync(join(this.#folder, file))
  }

  async settle(): Promise<Known> {
    const manifests = await this.#files.read()
    await this.#makeNamespaces(manifests)
    await this.#mirror.bring()
    for (const source of this.#sources)
      source.running ??= this.#owned.use(runSource(this.#api, source.tables, source.node))
    await this.#markers.seen()
    const [first, ...others] = this.#sources.map(source => source.running?.source.problems() ?? [])
    for (const other of others) assert.deepEqual(other, first)
    return { tables: await this.#together(manifests), problems: first ?? [] }
  }

  /** An API server has no object in a namespace that is not there. */
  async #makeNamespaces(manifests: readonly KubeManifest[]): Promise<void> {
    const used = new Set(manifests.flatMap(({ metadata }) => metadata.namespace ?? []))
    for (const name of used)
      await this.#api.admin.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  }

  /** What all nodes know, in the story's words: uids are the API server's, and it has namespaces of its own. */
  async #together(manifests: readonly KubeManifest[]): Promise<Tables> {
    const all = createTables()
    const [first] = this.#sources
    for (const name of ALIKE) {
      for (const { tables, node } of this.#sources)
        assert.equal(dump<object>(tables[name]), dump<object>(first?.tables[name] ?? all[name]), `${name} on ${node}`)
      // Rows of one table go into the same table of another set.
      for (const row of first?.tables[name] ?? []) all[name].put(row as never)
    }
    for (const { name } of first?.tables.namespaces ?? [])
      if (!manifests.some(({ kind, metadata }) => kind === 'Namespace' && metadata.name === name))
        all.namespaces.delete(name)
    for (const { node, tables } of this.#sources)
      for (const row of tables.pods) {
        assert.equal(row.nodeName, node, 'a source has pods of its node alone')
        const { json } = await this.#api.admin.get(`/api/v1/namespaces/${row.namespace}/pods/${row.name}`)
        assert.equal(row.uid, (json.metadata as { uid?: string }).uid)
        all.pods.put({ ...row, uid: writtenUid(manifests, row) })
      }
    return all
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync()
    rmSync(this.#folder, { recursive: true })
  }
}

function writtenUid(
  manifests: readonly KubeManifest[],
  row: { readonly namespace: string; readonly name: string },
): string {
  const written = manifests.find(
    ({ kind, metadata }) =>
      kind === 'Pod' && metadata.name === row.name && (metadata.namespace ?? 'default') === row.namespace,
  )
  return written?.metadata.uid ?? ''
}
