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
  #nodes: ReadonlyMap<string, OfNode<NodeObject>> = new Map()
  #networks: ReadonlyMap<string, OfNode<NodeNetwork>> = new Map()
  readonly nodes: RowTarget<OfNode<NodeObject>>
  readonly networks: RowTarget<OfNode<NodeNetwork>>

  constructor(table: Table<NodeRow>) {
    this.#table = table
    const written = (name: string | undefined): void => (name === undefined ? this.#writeAll() : this.#write(name))
    this.nodes = new Part(rows => (this.#nodes = rows), written)
    this.networks = new Part(rows => (this.#networks = rows), written)
  }

  /** Undefined while there is no Node of that name. */
  uidsOf(name: string): OwnUids | undefined {
    const node = this.#nodes.get(name)
    return node && { node: node.ownUid, network: this.#networks.get(name)?.ownUid ?? '' }
  }

  #writeAll(): void {
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
