/** Versions of objects and lists: decimal numbers of one sequence for all of a cluster (KEP-5504). */

/** Whether one version came before another. Versions that are no numbers cannot be compared, and are not older. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map(text => (/^\d+$/.test(text) ? BigInt(text) : undefined))
  return a !== undefined && b !== undefined && a < b
}

export interface Identity {
  /** `NAMESPACE/NAME`, or the name alone; empty when it has none. */
  readonly name: string
  readonly resourceVersion: string
}

/** What every object bears. */
export function nameAndVersion(object: unknown): Identity {
  const { metadata } = Object(object) as { readonly metadata?: unknown }
  const { namespace, name, resourceVersion } = Object(metadata) as Readonly<Record<string, unknown>>
  const own = typeof name === 'string' ? name : ''
  return {
    name: typeof namespace === 'string' && namespace !== '' ? `${namespace}/${own}` : own,
    resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '',
  }
}
