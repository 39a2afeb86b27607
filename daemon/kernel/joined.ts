/**
 * A text put together that is kept, such as a row's key. What `+` makes of texts remembers them, and gets a copy in one
 * piece once it is looked up somewhere; a cluster has a hundred thousand such keys.
 */
export function joined(...parts: readonly (string | number)[]): string {
  return parts.join('')
}
