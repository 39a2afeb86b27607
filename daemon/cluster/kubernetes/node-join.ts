/** Nodes and NodeNetworks, which come by themselves, → rows of the table `nodes`. Both must have been listed before. */
import { isDeepStrictEqual } from 'node:util'
import { replaceRows } from '../../state/replace.ts'
import type { Table } from '../../state/table.ts'
import type { NodeRow } from '../../state/tables.ts'
import { joinNode, type NodeNetwork, type NodeObject, parseNodeNetwork } from '../join-node.ts'
import type { ObjectField } from '../object-field.ts'
import { parseNode } from '../parse.ts'
import type { RowTarget } from './row-sink.ts'

/** A row, and the uid of the Node that it is of or belongs to; empty when it is not known. */
interface OfNode<T> {
  readonly row: T
  readonly uid: string
  /** Its own. */
  readonly ownUid: string
}

/** This node's objects, which are others once they were made anew. */
export interface OwnUids {
  readonly node: string
  /** Of its NodeNetwork; empty while there is none. */
  readonly network: string
}

export function nodeWithUid(object: ObjectField): OfNode<NodeObject> {
  const uid = object.at('metadata').at('uid').text() ?? ''
  return { row: parseNode(object), uid, ownUid: uid }
}

export function networkOfNode(object: ObjectField): OfNode<NodeNetwork> {
  const owners = object.at('metadata').at('ownerReferences').items()
  const owner = owners.find(item => item.at('kind').text() === 'Node')
  const ownUid = object.at('metadata').at('uid').text() ?? ''
  return { row: parseNodeNetwork(object), uid: owner?.at('uid').text() ?? '', ownUid }
}

export class NodeJoin {
  readonly #table: Table<NodeRow>
  readonly #nodes = new Map<string, OfNode<NodeObject>>()
  readonly #networks = new Map<string, OfNode<NodeNetwork>>()

  constructor(table: Table<NodeRow>) {
    this.#table = table
  }

  readonly nodes: RowTarget<OfNode<NodeObject>> = {
    put: row => this.#set(this.#nodes, row),
    delete: row => this.#delete(this.#nodes, row),
    replace: rows => this.#replace(this.#nodes, rows),
  }
  readonly networks: RowTarget<OfNode<NodeNetwork>> = {
    put: row => this.#set(this.#networks, row),
    delete: row => this.#delete(this.#networks, row),
    replace: rows => this.#replace(this.#networks, rows),
  }

  /** Undefined while there is no Node of that name. */
  uidsOf(name: string): OwnUids | undefined {
    const node = this.#nodes.get(name)
    return node && { node: node.ownUid, network: this.#networks.get(name)?.ownUid ?? '' }
  }

  #set<T extends { readonly name: string }>(map: Map<string, OfNode<T>>, of: OfNode<T>): void {
    map.set(of.row.name, of)
    this.#write(of.row.name)
  }

  #delete<T extends { readonly name: string }>(map: Map<string, OfNode<T>>, { row: { name } }: OfNode<T>): void {
    map.delete(name)
    this.#write(name)
  }

  #replace<T extends { readonly name: string }>(map: Map<string, OfNode<T>>, rows: readonly OfNode<T>[]): void {
    map.clear()
    for (const of of rows) map.set(of.row.name, of)
    replaceRows(
      this.#table,
      [...this.#nodes.values()].map(node => this.#joined(node)),
    )
  }

  #write(name: string): void {
    const node = this.#nodes.get(name)
    if (node === undefined) {
      this.#table.delete(name)
      return
    }
    const row = this.#joined(node)
    if (!isDeepStrictEqual(this.#table.get(name), row)) this.#table.put(row)
  }

  /** The NodeNetwork of another Node that had the name says nothing of this one. */
  #joined({ row, uid }: OfNode<NodeObject>): NodeRow {
    const network = this.#networks.get(row.name)
    const isOwn = network !== undefined && (network.uid === '' || uid === '' || network.uid === uid)
    return joinNode(row, isOwn ? network.row : undefined)
  }
}
