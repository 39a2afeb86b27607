/** Stories for the directory source: their files, in a directory of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDirectorySource } from '../../daemon/cluster/directory/source.ts'
import type { ClusterSource } from '../../daemon/cluster/source.ts'
import type { Tables } from '../../daemon/state/tables.ts'
import { eventually } from '../support/eventually.ts'
import { FakeLog } from '../support/fake-log.ts'
import type { Known, Player } from './play.ts'

export class DirectoryPlayer implements Player {
  readonly #directory = mkdtempSync(join(tmpdir(), 'cw-story-'))
  readonly #stop = new AbortController()
  readonly #tables: Tables
  readonly #source: ClusterSource
  #running: Promise<void> | undefined
  #markers = 0

  constructor(tables: Tables) {
    this.#tables = tables
    this.#source = createDirectorySource({
      directory: this.#directory,
      nodeName: 'node1',
      tables,
      log: new FakeLog(),
      settleMs: 5,
    })
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.#directory, file), text)
  }

  delete(file: string): void {
    rmSync(join(this.#directory, file))
  }

  async settle(): Promise<Known> {
    this.#running ??= this.#source.run(this.#stop.signal)
    await this.#scanned(`marker-${++this.#markers}`)
    const own = (text: string): string => text.replaceAll(`${this.#directory}/`, '')
    const problems = this.#source.problems().map(p => ({ place: own(p.place), message: own(p.message) }))
    return { tables: this.#tables, problems }
  }

  /** A marker that is seen proves that everything written before it has been read; its going, that the rest settled. */
  async #scanned(name: string): Promise<void> {
    const { nodes } = this.#tables
    this.write('zz-marker.yaml', `{apiVersion: v1, kind: Node, metadata: {name: ${name}}}`)
    await eventually(() => nodes.get(name) !== undefined, { pollMs: 1 })
    this.delete('zz-marker.yaml')
    await eventually(() => nodes.get(name) === undefined, { pollMs: 1 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
    rmSync(this.#directory, { recursive: true })
  }
}
