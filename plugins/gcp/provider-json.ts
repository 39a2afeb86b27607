/** Fields of an answer that may be anything; undefined where there is none of that kind. Pure. */

export function objectIn(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}

export function textIn(value: unknown, name: string): string | undefined {
  const field = objectIn(value, name)
  return typeof field === 'string' ? field : undefined
}

/** The API writes numbers of 64 bits as text. */
export function numberIn(value: unknown, name: string): number | undefined {
  const field = objectIn(value, name)
  const number = typeof field === 'number' || (typeof field === 'string' && field !== '') ? Number(field) : NaN
  return Number.isFinite(number) ? number : undefined
}

/** Empty where there is no list: the API leaves out empty ones. */
export function listIn(value: unknown, name: string): readonly unknown[] {
  const field = objectIn(value, name)
  return Array.isArray(field) ? (field as unknown[]) : []
}
