/** Load-time constants: `const volatile` variables in `.rodata`, found by name in the object's BTF. */
import koffi from 'koffi'
import type { Btf } from './btf.ts'
import { libbpf } from './libbpf.ts'
import { ObjectError } from './object-errors.ts'

/** Numbers as they are in C; truth values are 1 and 0; bytes for arrays and structures, of exactly their size. */
export type Constants = Readonly<Record<string, number | bigint | boolean | Uint8Array>>

export interface Constant {
  readonly name: string
  readonly size: number
  readonly signed: boolean
  /** An integer; otherwise an array or a structure. */
  readonly scalar: boolean
}
interface Place extends Constant {
  readonly map: unknown
  readonly offset: number
}

export function constantsOf(btf: Btf, maps: ReadonlyMap<string, unknown>): Constant[] {
  return places(btf, maps).map(({ name, size, signed, scalar }) => ({ name, size, signed, scalar }))
}

/** Sets constants of an object that is opened and not yet loaded. Throws ObjectError for an unknown name or a bad value. */
export function writeConstants(path: string, btf: Btf, maps: ReadonlyMap<string, unknown>, values: Constants): void {
  const known = new Map(places(btf, maps).map(place => [place.name, place]))
  for (const [name, value] of Object.entries(values)) {
    const place = known.get(name)
    if (!place) throw new ObjectError(path, `has no constant ${name}; it has ${[...known.keys()].join(', ')}`)
    const problem = write(place, value)
    if (problem !== undefined) throw new ObjectError(path, `constant ${name}: ${problem}`)
  }
}

function places(btf: Btf, maps: ReadonlyMap<string, unknown>): Place[] {
  const sections = btf.all('datasec').filter(section => /^\.rodata(\.|$)/.test(section.name))
  return sections.flatMap(section => {
    // libbpf names the map after the section, that of `.rodata` itself with the object's name before it.
    const map = [...maps].find(([name]) => name === section.name || name.endsWith(section.name))?.[1]
    if (map === undefined) return []
    return section.variables.flatMap(({ type, offset, size }): Place[] => {
      const variable = btf.type(type)
      if (variable.kind !== 'var') return []
      const content = btf.resolve(variable.type)
      const signed = content.kind === 'int' && content.signed
      const scalar = content.kind === 'int' || content.kind === 'enum'
      return [{ name: variable.name, size, signed, scalar, map, offset }]
    })
  })
}

/** Writes a value to the map's memory before it is loaded; answers what is wrong with it. */
function write(place: Place, value: Constants[string]): string | undefined {
  const length = [0]
  const memory: unknown = libbpf().initialValue(place.map, length)
  const section = new Uint8Array(koffi.view(memory, Number(length[0])))
  if (value instanceof Uint8Array) {
    if (value.length !== place.size) return `has ${place.size} bytes, not ${value.length}`
    section.set(value, place.offset)
    return undefined
  }
  if (!place.scalar) return `is no number but ${place.size} bytes`
  const number = toInteger(value)
  if (number === undefined || !fits(place, number)) {
    return `${value} is no ${place.signed ? 'signed' : 'unsigned'} integer of ${place.size} bytes`
  }
  for (let i = 0; i < place.size; i++) section[place.offset + i] = Number((number >> BigInt(8 * i)) & 0xffn)
  return undefined
}

function toInteger(value: number | bigint | boolean): bigint | undefined {
  return typeof value === 'number' && !Number.isSafeInteger(value) ? undefined : BigInt(value)
}
function fits({ size, signed }: Place, value: bigint): boolean {
  return (signed ? BigInt.asIntN(8 * size, value) : BigInt.asUintN(8 * size, value)) === value
}
