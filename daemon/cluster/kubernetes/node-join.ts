/**
 * Nodes and NodeNetworks, which come by themselves, → rows of the table `nodes`, and of this node's the cloud's addresses.
 * Both must have been listed before.
 */
import { isDeepStrictEqual } from 'node:util'
import { replaceRows } from '../../state/replace.ts'
import type { Table } from '../../state/table.ts'
import type { NodeRow, Tables } from '../../state/tables.ts'
import { joinNode, type NodeNetwork, type NodeObject, parseNodeNetwork } from '../join-node.ts'
import type { ObjectField } from '../object-field.ts'
import { type CloudSpec, type CloudTables, parseCloudSpec, writeCloudSpec } from '../parse-cloud-spec.ts'
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

/** A NodeNetwork, with the addresses that the cloud gave where it is this node's. */
export type NetworkWithCloud = NodeNetwork & { readonly cloudSpec?: CloudSpec }

/** Reads NodeNetworks; what the cloud gave is nobody else's business, and much in a large cluster. */
export function networkOfNode(ownName: string): (object: ObjectField) => OfNode<NetworkWithCloud> {
  return object => {
    const network = withUid(object)
    const cloudSpec = network.row.name === ownName ? parseCloudSpec(object) : undefined
    return cloudSpec === undefined ? network : { ...network, row: { ...network.row, cloudSpec } }
  }
}

function withUid(object: ObjectField): OfNode<NodeNetwork> {
  const owners = object.at('metadata').at('ownerReferences').items()
  const owner = owners.find(item => item.at('kind').text() === 'Node')
  const ownUid = object.at('metadata').at('uid').text() ?? ''
  return { row: parseNodeNetwork(object), uid: owner?.at('uid').text() ?? '', ownUid }
}

export class NodeJoin {
  readonly #table: Table<NodeRow>
  readonly #cloud: CloudTables
  readonly #ownName: string
  /** As of the last time that all rows were written. */
  #ownSeen = ''
  #nodes: ReadonlyMap<string, OfNode<NodeObject>> = new Map()
  #networks: ReadonlyMap<string, OfNode<NetworkWithCloud>> = new Map()
  readonly nodes: RowTarget<OfNode<NodeObject>>
  readonly networks: RowTarget<OfNode<NetworkWithCloud>>

  constructor(tables: Pick<Tables, 'nodes'> & CloudTables, ownName: string) {
    this.#table = tables.nodes
    this.#cloud = tables
    this.#ownName = ownName
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
    this.#ownSeen = JSON.stringify(this.#own)
    replaceRows(
      this.#table,
      [...this.#nodes.values()].map(node => this.#joined(node)),
    )
    this.#writeCloud()
  }

  #write(name: string): void {
    if (name === this.#ownName) {
      this.#writeCloud()
      const own = JSON.stringify(this.#own)
      if (own !== this.#ownSeen) {
        this.#ownSeen = own
        this.#writeAll()
        return
      }
    }
    const node = this.#nodes.get(name)
    if (node === undefined) {
      this.#table.delete(name)
      return
    }
    const row = this.#joined(node)
    if (!isDeepStrictEqual(this.#table.get(name), row)) this.#table.put(row)
  }

  #writeCloud(): void {
    const node = this.#nodes.get(this.#ownName)
    writeCloudSpec(this.#cloud, node && this.#networkOf(node)?.cloudSpec)
  }

  #joined(node: OfNode<NodeObject>): NodeRow {
    const { cloudBlocks, ...row } = joinNode(node.row, this.#networkOf(node))
    return cloudBlocks !== undefined && this.#needsBlocks(row.cloud) ? { ...row, cloudBlocks } : row
  }

  /**
   * Whether this node must know which blocks nodes of a cloud have. In its own the cloud routes them, as long as all of its
   * pods have addresses of the cloud; elsewhere, and for other pods, the overlay does. They are many, and change often.
   */
  #needsBlocks(cloud: NodeRow['cloud']): boolean {
    const { ranges, cloud: own } = this.#own
    return ranges || own !== cloud
  }

  /** What of this node the rows of all others depend on. */
  get #own(): { readonly ranges: boolean; readonly cloud: NodeRow['cloud'] } {
    const node = this.#nodes.get(this.#ownName)
    const row = node && joinNode(node.row, this.#networkOf(node))
    return { ranges: (row?.podCidrs.length ?? 0) > 0, cloud: row?.cloud }
  }

  /** The NodeNetwork of another Node that had the name says nothing of this one. */
  #networkOf({ row, uid }: OfNode<NodeObject>): NetworkWithCloud | undefined {
    const network = this.#networks.get(row.name)
    const isOwn = network !== undefined && (network.uid === '' || uid === '' || network.uid === uid)
    return isOwn ? network.row : undefined
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
