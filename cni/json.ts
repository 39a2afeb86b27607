/** Narrowing of values that came from outside. */
export type Fields = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A member of the object itself; null counts as absent, as in the runtimes' own decoders. */
export function member(fields: Fields, name: string): unknown {
  const value = Object.prototype.hasOwnProperty.call(fields, name) ? fields[name] : undefined
  return value === null ? undefined : value
}

/** The members of these names that are there. */
export function pick(fields: Fields, names: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = {}
  for (const name of names) {
    const value = member(fields, name)
    if (value !== undefined) picked[name] = value
  }
  return picked
}

/** A value as it stands in a message: JSON, cut when long. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > 200 ? text.substring(0, 200) + '…' : text
}
