/**
 * What is known of the cluster, on disk, for a daemon that starts while the API server is away. This node's own row is
 * enough to start pods, with what the cloud gave the node. The rest is only for a node that has started again: as long as its kernel lives, routes and maps
 * there are newer than anything on disk. Rows that come from here leave their tables incomplete, so that nothing is ever
 * taken away because of them.
 */
import { readFileSync } from 'node:fs'
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../plugin.ts'
import type { Clock } from '../../state/clock.ts'
import { eachChange } from '../../state/each-change.ts'
import { pause } from '../../state/pause.ts'
import type { Table } from '../../state/table.ts'
import type { NodeRow, Tables } from '../../state/tables.ts'

const KEPT = ['nodes', 'pods', 'services', 'endpointSlices', 'namespaces', 'networkPolicies', 'egressPolicies'] as const
/** Of this node alone: they stand beside its row. */
const CLOUD = ['cloudMachines', 'cloudNics', 'cloudBlocks'] as const
type KeptTables = Pick<Tables, (typeof KEPT)[number] | (typeof CLOUD)[number]>

/** What stands in the file of this node. */
interface Own {
  readonly bootId: string
  readonly at: string
  readonly row: NodeRow
  /** Absent in files of older builds. */
  readonly cloud?: Readonly<Partial<Record<(typeof CLOUD)[number], readonly unknown[]>>>
}

export interface KnownClusterOptions {
  readonly folder: string
  readonly nodeName: string
  /** Of the running kernel. */
  readonly bootId: string
  readonly tables: KeptTables
  readonly log: Logger
  readonly clock: Clock
}

/** Between two writings of everything at least so long, and a hundred times what one takes. */
const WRITE_MS = 60_000
const WRITE_SHARE = 100
/** Rows written before other work gets its turn. */
const SLICE = 200

export class KnownCluster {
  readonly #options: KnownClusterOptions
  /** This node's row as it is on disk. */
  #ownText: string | undefined

  constructor(options: KnownClusterOptions) {
    this.#options = options
  }

  /** Writes what the tables hold, as it changes, until the signal aborts. They must be complete. */
  async keep(signal: AbortSignal): Promise<void> {
    const { tables } = this.#options
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 })
    await Promise.all([
      eachChange([tables.nodes, ...CLOUD.map(name => tables[name])], () => this.#keepOwn(), signal),
      eachChange(
        KEPT.map(name => tables[name]),
        () => this.#keepAll(signal),
        signal,
      ),
    ])
  }

  /** Puts what was known into tables that are not complete; tells since when it was, undefined when nothing was known. */
  async recall(): Promise<Date | undefined> {
    const { tables } = this.#options
    const { nodes } = tables
    const own = this.#readOwn()
    if (own === undefined) return undefined
    if (own.bootId !== this.#options.bootId) await this.#recallAll()
    if (!nodes.initialized && nodes.get(own.row.name) === undefined) nodes.put(own.row)
    for (const name of CLOUD) this.#recallRows(tables[name], own.cloud?.[name] ?? [])
    return own.at
  }

  #readOwn(): (Omit<Own, 'at'> & { readonly at: Date }) | undefined {
    try {
      // Written below; a disk that was full, or a hand, may have left something else.
      const { row, at, bootId, cloud } = JSON.parse(readFileSync(this.#ownFile, 'utf8')) as Partial<Own>
      if (row?.name !== this.#options.nodeName) throw new Error(`it is not of node ${this.#options.nodeName}`)
      const since = new Date(at ?? '')
      if (Number.isNaN(since.getTime())) throw new Error('it does not say of when it is')
      return { row, at: since, bootId: bootId ?? '', cloud: cloud ?? {} }
    } catch (error) {
      this.#cannotRead(this.#ownFile, error)
      return undefined
    }
  }

  #cannotRead(file: string, error: unknown): void {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    this.#options.log.warn({ file, error: messageOf(error) }, 'what was known of the cluster cannot be read')
  }

  get #ownFile(): string {
    return join(this.#options.folder, 'known-node.json')
  }
  get #allFile(): string {
    return join(this.#options.folder, 'known-cluster.jsonl')
  }

  async #keepOwn(): Promise<void> {
    const { tables, nodeName, bootId } = this.#options
    const row = tables.nodes.get(nodeName)
    // A Node that is gone for a moment may be one that is registered anew.
    if (row === undefined) return
    const cloud = Object.fromEntries(CLOUD.map(name => [name, [...tables[name].values()]]))
    const text = JSON.stringify({ row, cloud })
    if (text === this.#ownText) return
    const own: Own = { bootId, at: new Date().toISOString(), row, cloud }
    if (await this.#write(this.#ownFile, file => file.appendFile(JSON.stringify(own)))) this.#ownText = text
  }

  #recallRows(table: Pick<Table<unknown>, 'put' | 'initialized'>, rows: readonly unknown[]): void {
    if (!table.initialized) for (const row of rows) table.put(row)
  }

  /** And rests, so that a cluster in which something always changes does not keep the disk busy. */
  async #keepAll(signal: AbortSignal): Promise<void> {
    const { clock, tables } = this.#options
    const began = clock.now()
    await this.#write(this.#allFile, async file => {
      for (const name of KEPT) await this.#writeRows(file, name, tables[name])
    })
    await pause(clock, Math.max(WRITE_MS, WRITE_SHARE * (clock.now() - began)), signal)
  }

  async #writeRows(
    file: Pick<FileHandle, 'appendFile'>,
    name: string,
    table: Pick<Table<unknown>, 'values'>,
  ): Promise<void> {
    let text = ''
    let rows = 0
    for (const row of table.values()) {
      text += `${JSON.stringify([name, row])}\n`
      if (++rows % SLICE !== 0) continue
      await file.appendFile(text)
      text = ''
    }
    await file.appendFile(text)
  }

  /** The file takes its name when it is whole and on the disk; whether it has. A disk that is full is no reason to stop. */
  async #write(path: string, write: (file: FileHandle) => Promise<void>): Promise<boolean> {
    try {
      {
        await using file = await open(`${path}.tmp`, 'w', 0o600)
        await write(file)
        await file.datasync()
      }
      await rename(`${path}.tmp`, path)
      return true
    } catch (error) {
      this.#options.log.warn({ file: path, error: messageOf(error) }, 'what is known of the cluster could not be kept')
      return false
    }
  }

  /** As far as it can be read. */
  async #recallAll(): Promise<void> {
    try {
      await using file = await open(this.#allFile)
      for await (const line of file.readLines()) {
        const [name, row] = JSON.parse(line) as [(typeof KEPT)[number], unknown]
        // Written above; a table of a newer build may not be there.
        const table: Pick<Table<unknown>, 'put' | 'initialized'> | undefined = this.#options.tables[name]
        if (table !== undefined && !table.initialized) table.put(row)
      }
    } catch (error) {
      this.#cannotRead(this.#allFile, error)
    }
  }
}
