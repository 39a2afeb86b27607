/** The pods of this node with their labels, which are remembered when the cluster source stops telling of them. */
import type { EndpointRow, PodRow, Tables } from '../../daemon/state/tables.ts'
import type { Pod } from './plan.ts'
import type { Labels } from '../../daemon/state/selectors.ts'

export class Pods {
  readonly #tables: Pick<Tables, 'endpoints' | 'pods' | 'egressPolicies' | 'namespaces'>
  /** By attachment key. */
  readonly #labels = new Map<string, Labels>()
  readonly #admitted = new Set<string>()

  constructor(tables: Pick<Tables, 'endpoints' | 'pods' | 'egressPolicies' | 'namespaces'>) {
    this.#tables = tables
  }

  /** False while the cluster is not known: of pods that outlived the last daemon the kernel knows more then. */
  get informed(): boolean {
    const { pods, egressPolicies, namespaces, endpoints } = this.#tables
    return [pods, egressPolicies, namespaces, endpoints].every(table => table.initialized)
  }

  /** From now on the pod counts, whether the cluster is known or not. */
  admit(key: string): void {
    this.#admitted.add(key)
  }

  /** Those that can be planned for. */
  all(): Pod[] {
    const { endpoints } = this.#tables
    for (const key of [...this.#labels.keys(), ...this.#admitted])
      if (endpoints.get(key) === undefined) {
        this.#labels.delete(key)
        this.#admitted.delete(key)
      }
    if (!this.informed) return this.admitted()
    return [...endpoints.values()].map(row => this.#pod(row))
  }

  /** Those that came since the daemon started. */
  admitted(): Pod[] {
    return [...this.#tables.endpoints.values()].filter(row => this.#admitted.has(row.key)).map(row => this.#pod(row))
  }

  #pod(row: EndpointRow): Pod {
    const { key, addresses, pod } = row
    const labels = this.informed ? this.labelsOf(row) : undefined
    return { key, namespace: pod.namespace, name: pod.name, addresses, labels }
  }

  /** Undefined while they are not known. */
  labelsOf(row: EndpointRow): Labels | undefined {
    const known = this.#tables.pods.get(`${row.pod.namespace}/${row.pod.name}`)
    if (known !== undefined && isSame(known, row)) this.#labels.set(row.key, known.labels)
    return this.#labels.get(row.key)
  }
}

/** Another pod may have had the name before, or has it by now. */
function isSame(known: PodRow, { pod }: EndpointRow): boolean {
  return known.uid === '' || pod.uid === '' || known.uid === pod.uid
}
