/** Nodes and NodeNetworks, which come by themselves, → rows of the table `nodes`. */
import { isDeepStrictEqual } from 'node:util'
import { replaceRows } from '../../state/replace.ts'
import type { Table } from '../../state/table.ts'
import type { NodeRow } from '../../state/tables.ts'
import { joinNode, type NodeNetwork } from '../join-node.ts'
import type { RowTarget } from './row-sink.ts'

export class NodeJoin {
  readonly #table: Table<NodeRow>
  readonly #nodes = new Map<string, NodeRow>()
  readonly #networks = new Map<string, NodeNetwork>()
  /** Without the NodeNetworks a node's ranges would be others for a moment, and its pods' routes go. */
  readonly #both = { nodes: false, networks: false }

  constructor(table: Table<NodeRow>) {
    this.#table = table
  }

  readonly nodes: RowTarget<NodeRow> = {
    put: row => this.#set(this.#nodes, row),
    delete: row => this.#delete(this.#nodes, row),
    replace: rows => this.#replace(this.#nodes, rows, 'nodes'),
  }
  readonly networks: RowTarget<NodeNetwork> = {
    put: row => this.#set(this.#networks, row),
    delete: row => this.#delete(this.#networks, row),
    replace: rows => this.#replace(this.#networks, rows, 'networks'),
  }

  #set<T extends { readonly name: string }>(map: Map<string, T>, row: T): void {
    map.set(row.name, row)
    this.#write(row.name)
  }

  #delete<T extends { readonly name: string }>(map: Map<string, T>, { name }: T): void {
    map.delete(name)
    this.#write(name)
  }

  #replace<T extends { readonly name: string }>(
    map: Map<string, T>,
    rows: readonly T[],
    which: 'nodes' | 'networks',
  ): void {
    map.clear()
    for (const row of rows) map.set(row.name, row)
    this.#both[which] = true
    if (this.#both.nodes && this.#both.networks)
      replaceRows(
        this.#table,
        [...this.#nodes.values()].map(node => joinNode(node, this.#networks.get(node.name))),
      )
  }

  #write(name: string): void {
    if (!this.#both.nodes || !this.#both.networks) return
    const node = this.#nodes.get(name)
    if (node === undefined) {
      this.#table.delete(name)
      return
    }
    const row = joinNode(node, this.#networks.get(name))
    if (!isDeepStrictEqual(this.#table.get(name), row)) this.#table.put(row)
  }
}
