/** Maps that forget what they were told longest ago. */

/** Puts an entry last; the first go when there are more than `most`. */
export function remember<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key)
  map.set(key, value)
  for (const oldest of map.keys()) {
    if (map.size <= most) return
    map.delete(oldest)
  }
}
