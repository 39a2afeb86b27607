/** Nodes and NodeNetworks, which come by themselves, → rows of the table `nodes`. Both must have been listed before. */
import { isDeepStrictEqual } from 'node:util'
import { replaceRows } from '../../state/replace.ts'
import type { Table } from '../../state/table.ts'
import type { NodeRow } from '../../state/tables.ts'
import { joinNode, type NodeNetwork } from '../join-node.ts'
import type { RowTarget } from './row-sink.ts'

export class NodeJoin {
  readonly #table: Table<NodeRow>
  #nodes: ReadonlyMap<string, NodeRow> = new Map()
  #networks: ReadonlyMap<string, NodeNetwork> = new Map()
  readonly nodes: RowTarget<NodeRow>
  readonly networks: RowTarget<NodeNetwork>

  constructor(table: Table<NodeRow>) {
    this.#table = table
    const written = (name: string | undefined): void => (name === undefined ? this.#writeAll() : this.#write(name))
    this.nodes = new Part(rows => (this.#nodes = rows), written)
    this.networks = new Part(rows => (this.#networks = rows), written)
  }

  #writeAll(): void {
    const join = (node: NodeRow): NodeRow => joinNode(node, this.#networks.get(node.name))
    replaceRows(this.#table, [...this.#nodes.values()].map(join))
  }

  #write(name: string): void {
    const node = this.#nodes.get(name)
    if (node === undefined) {
      this.#table.delete(name)
      return
    }
    const row = joinNode(node, this.#networks.get(name))
    if (!isDeepStrictEqual(this.#table.get(name), row)) this.#table.put(row)
  }
}

/** One of the two; tells of which name something has been written, or of no name when it was everything. */
class Part<T> implements RowTarget<T> {
  #rows = new Map<string, T>()
  readonly #hold: (rows: ReadonlyMap<string, T>) => void
  readonly #written: (name: string | undefined) => void

  constructor(hold: (rows: ReadonlyMap<string, T>) => void, written: (name: string | undefined) => void) {
    this.#hold = hold
    this.#written = written
    hold(this.#rows)
  }

  get(name: string): T | undefined {
    return this.#rows.get(name)
  }
  put(name: string, row: T): void {
    if (isDeepStrictEqual(this.#rows.get(name), row)) return
    this.#rows.set(name, row)
    this.#written(name)
  }
  delete(name: string): void {
    if (this.#rows.delete(name)) this.#written(name)
  }
  replace(rows: ReadonlyMap<string, T>): void {
    this.#rows = new Map(rows)
    this.#hold(this.#rows)
    this.#written(undefined)
  }
}
