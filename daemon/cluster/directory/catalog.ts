/**
 * Which objects of all files count. Pure: files go in as text, rows and problems come out. A file that cannot be used,
 * or that has been emptied, keeps the objects of its last good state; of an object that stands in two places, the first
 * in order of file and line counts.
 */
import type { EgressPolicyRow, NamespaceRow } from '../../state/egress-rows.ts'
import type { EndpointSliceRow, ServiceRow } from '../../state/service-rows.ts'
import type { NetworkPolicyRow, NodeRow, PodRow } from '../../state/tables.ts'
import { joinNode } from '../join-node.ts'
import type { CloudSpec } from '../parse-cloud-spec.ts'
import { ObjectError, ObjectField } from '../object-field.ts'
import { type ParsedObject, parseObjects } from '../parse.ts'
import type { SourceProblem } from '../source.ts'
import { readDocuments } from './documents.ts'

/**
 * A shell truncates the file of a redirection at once, and the command may write seconds later, or fail and write
 * nothing. Taken at its word, an emptied file would take down the routes to the whole cluster.
 */
const EMPTIED = 'holds no object: what it held before stays until it has content or is removed'

/** What is known of one file. */
interface FileState {
  readonly objects: readonly ParsedObject[]
  readonly problems: readonly SourceProblem[]
  /** False for a file that was never good: what it would have said is not known. */
  readonly everGood: boolean
}

export interface Contents {
  readonly nodes: readonly NodeRow[]
  readonly pods: readonly PodRow[]
  readonly services: readonly ServiceRow[]
  readonly endpointSlices: readonly EndpointSliceRow[]
  readonly namespaces: readonly NamespaceRow[]
  readonly networkPolicies: readonly NetworkPolicyRow[]
  readonly egressPolicies: readonly EgressPolicyRow[]
  /** By node, where the cloud gave it addresses. */
  readonly cloud: ReadonlyMap<string, CloudSpec>
  readonly problems: readonly SourceProblem[]
  /** Kinds that are not used, such as `v1 Secret`. */
  readonly unused: readonly string[]
  /** Files that were never good; while there are any, the rows may not be all there is. */
  readonly unknown: readonly string[]
}

/** The files of a directory as last seen. */
export class Catalog {
  readonly #files = new Map<string, FileState>()

  /** The names of the files known. */
  get files(): readonly string[] {
    return [...this.#files.keys()]
  }

  /** Takes in the present text of a file. */
  read(file: string, text: string): void {
    const last = this.#files.get(file)
    const documents = readDocuments(file, text)
    if (documents.length === 0 && (text.trim() === '' || (last?.objects.length ?? 0) > 0)) {
      this.unusable(file, EMPTIED)
      return
    }
    const objects: ParsedObject[] = []
    const problems: SourceProblem[] = []
    for (const document of documents) {
      for (const item of document instanceof ObjectField ? parseSafely(document) : [document]) {
        if (item instanceof ObjectError) problems.push(asProblem(item))
        else objects.push(item)
      }
    }
    if (problems.length === 0) this.#files.set(file, { objects, problems, everGood: true })
    else if (last?.everGood) this.#files.set(file, { ...last, problems })
    else this.#files.set(file, { objects, problems, everGood: false })
  }

  /** A file that is there and says nothing: what it said before still holds. */
  unusable(file: string, message: string): void {
    const last = this.#files.get(file) ?? { objects: [], everGood: false }
    this.#files.set(file, { ...last, problems: [{ place: file, message }] })
  }

  /** A file that has vanished, and its objects with it. */
  delete(file: string): void {
    this.#files.delete(file)
  }

  contents(): Contents {
    const files = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1))
    const problems = files.flatMap(([, state]) => state.problems)
    const first = new Map<string, Exclude<ParsedObject, { kind: 'unused' }>>()
    const unused = new Set<string>()
    for (const object of files.flatMap(([, state]) => state.objects)) {
      if (object.kind === 'unused') unused.add(object.name)
      else {
        const name = nameOf(object)
        const winner = first.get(name)
        if (winner)
          problems.push({ place: object.place, message: `${name} stands at ${winner.place} too, which counts` })
        else first.set(name, object)
      }
    }
    const winners = [...first.values()]
    const networks = new Map(
      winners.flatMap(object => (object.kind === 'NodeNetwork' ? [[object.row.name, object.row]] : [])),
    )
    const cloud = new Map(
      winners.flatMap(object =>
        object.kind === 'NodeNetwork' && object.cloud !== undefined ? [[object.row.name, object.cloud]] : [],
      ),
    )
    return {
      cloud,
      nodes: winners.flatMap(object =>
        object.kind === 'Node' ? [joinNode(object.row, networks.get(object.row.name))] : [],
      ),
      pods: winners.flatMap(object => (object.kind === 'Pod' ? [object.row] : [])),
      services: winners.flatMap(object => (object.kind === 'Service' ? [object.row] : [])),
      endpointSlices: winners.flatMap(object => (object.kind === 'EndpointSlice' ? [object.row] : [])),
      networkPolicies: winners.flatMap(object => (object.kind === 'NetworkPolicy' ? [object.row] : [])),
      namespaces: winners.flatMap(object => (object.kind === 'Namespace' ? [object.row] : [])),
      egressPolicies: winners.flatMap(object => (object.kind === 'EgressPolicy' ? [object.row] : [])),
      problems,
      unused: [...unused].sort((a, b) => (a < b ? -1 : 1)),
      unknown: files.filter(([, state]) => !state.everGood).map(([file]) => file),
    }
  }
}

/** A list whose own form is wrong is a problem like that of an item. */
function parseSafely(document: ObjectField): (ParsedObject | ObjectError)[] {
  try {
    return parseObjects(document)
  } catch (error) {
    if (error instanceof ObjectError) return [error]
    throw error
  }
}

function asProblem(error: ObjectError): SourceProblem {
  return { place: error.place, message: error.field === '' ? error.problem : `${error.field}: ${error.problem}` }
}

function nameOf(object: Exclude<ParsedObject, { kind: 'unused' }>): string {
  const { kind, row } = object
  return 'namespace' in row ? `${kind} ${row.namespace}/${row.name}` : `${kind} ${row.name}`
}
