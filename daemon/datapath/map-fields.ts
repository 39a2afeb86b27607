/**
 * Entries of a map go into one of another layout by the names of fields. Both layouts are the kernel's word, so that a
 * build also reads what a later one left, whose layouts it cannot know.
 */
import type { Btf, BtfType } from '../kernel/bpf/btf.ts'
import { type MapTypes, mapTypes } from '../kernel/bpf/map-types.ts'
import type { Migration, Raw } from './map-copy.ts'

/** A number, or what is taken for one, where it lies in a structure. */
export interface Field {
  readonly at: number
  readonly size: number
}
export type Fields = ReadonlyMap<string, Field>
type Converter = (bytes: Raw) => Raw | undefined
type Extent = 'whole' | 'part'

/**
 * How entries of one map become ones of the other, given by descriptors. Fields that only the other has are zero. Of a map
 * that was made without types nothing is known, and nothing is taken over.
 */
export function byNames(from: number, to: number): Migration {
  const [old, now] = [mapTypes(from), mapTypes(to)]
  if (old === undefined || now === undefined) return () => undefined
  const key = between(old, now, 'key', 'whole')
  const value = between(old, now, 'value', 'part')
  return (k, v) => {
    const [convertedKey, convertedValue] = [key(k), value(v)]
    return convertedKey && convertedValue ? [convertedKey, convertedValue] : undefined
  }
}

function between(old: MapTypes, now: MapTypes, half: 'key' | 'value', extent: Extent): Converter {
  const [from, to] = [fieldsOf(old.btf, old[half]), fieldsOf(now.btf, now[half])]
  return converter(from, to, now.btf.sizeOf(now[half]), extent)
}

/** Fields by their path, such as `source.words[0]`; that of a plain number is empty. */
export function fieldsOf(btf: Btf, id: number): Fields {
  return new Map(walk(btf, id, '', 0))
}

function* walk(btf: Btf, id: number, path: string, at: number): Generator<[string, Field]> {
  const type = btf.resolve(id)
  if (type.kind === 'struct') yield* members(btf, type, path, at)
  else if (type.kind === 'array') {
    const size = btf.sizeOf(type.element)
    for (let i = 0; i < type.length; i++) yield* walk(btf, type.element, `${path}[${i}]`, at + i * size)
  } else yield [path, { at, size: btf.sizeOf(id) }]
}

function* members(
  btf: Btf,
  type: Extract<BtfType, { readonly kind: 'struct' | 'union' }>,
  path: string,
  at: number,
): Generator<[string, Field]> {
  for (const { name, type: member, bitOffset } of type.members)
    yield* walk(btf, member, path === '' ? name : `${path}.${name}`, at + bitOffset / 8)
}

/**
 * Turns bytes of one layout into `size` of the other. Undefined for what the other cannot hold: a number too large for
 * its field, and, of a `whole`, a field that it lacks and that is not zero: two entries must not become one.
 */
export function converter(from: Fields, to: Fields, size: number, extent: Extent): Converter {
  const copies: Copy[] = []
  const zeros: Field[] = []
  for (const [name, field] of from) {
    const target = to.get(name)
    const common = Math.min(field.size, target?.size ?? 0)
    if (target) copies.push({ from: field.at, to: target.at, size: common })
    // Little-endian: what a narrower field has no place for lies at the end.
    if (target ? field.size > common : extent === 'whole')
      zeros.push({ at: field.at + common, size: field.size - common })
  }
  const runs = joined(copies)
  return bytes => {
    if (zeros.some(({ at, size: length }) => bytes.subarray(at, at + length).some(byte => byte !== 0))) return undefined
    const converted = new Uint8Array(size)
    for (const run of runs) converted.set(bytes.subarray(run.from, run.from + run.size), run.to)
    return converted
  }
}

interface Copy {
  readonly from: number
  readonly to: number
  readonly size: number
}

/** Fields that lie one behind the other in both are copied at once: a table may have a million entries. */
function joined(copies: readonly Copy[]): Copy[] {
  const runs: Copy[] = []
  for (const copy of copies.toSorted((a, b) => a.from - b.from)) {
    const last = runs.at(-1)
    if (last && last.from + last.size === copy.from && last.to + last.size === copy.to)
      runs[runs.length - 1] = { ...last, size: last.size + copy.size }
    else runs.push(copy)
  }
  return runs
}
