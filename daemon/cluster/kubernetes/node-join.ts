/** Nodes and NodeNetworks, which come by themselves, → rows of the table `nodes`. Both must have been listed before. */
import { isDeepStrictEqual } from 'node:util'
import { replaceRows } from '../../state/replace.ts'
import type { Table } from '../../state/table.ts'
import type { NodeRow } from '../../state/tables.ts'
import { joinNode, type NodeNetwork, type NodeObject } from '../join-node.ts'
import type { RowTarget } from './row-sink.ts'

export class NodeJoin {
  readonly #table: Table<NodeRow>
  readonly #nodes = new Map<string, NodeObject>()
  readonly #networks = new Map<string, NodeNetwork>()

  constructor(table: Table<NodeRow>) {
    this.#table = table
  }

  readonly nodes: RowTarget<NodeObject> = {
    put: row => this.#set(this.#nodes, row),
    delete: row => this.#delete(this.#nodes, row),
    replace: rows => this.#replace(this.#nodes, rows),
  }
  readonly networks: RowTarget<NodeNetwork> = {
    put: row => this.#set(this.#networks, row),
    delete: row => this.#delete(this.#networks, row),
    replace: rows => this.#replace(this.#networks, rows),
  }

  #set<T extends { readonly name: string }>(map: Map<string, T>, row: T): void {
    map.set(row.name, row)
    this.#write(row.name)
  }

  #delete<T extends { readonly name: string }>(map: Map<string, T>, { name }: T): void {
    map.delete(name)
    this.#write(name)
  }

  #replace<T extends { readonly name: string }>(map: Map<string, T>, rows: readonly T[]): void {
    map.clear()
    for (const row of rows) map.set(row.name, row)
    replaceRows(
      this.#table,
      [...this.#nodes.values()].map(node => joinNode(node, this.#networks.get(node.name))),
    )
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
