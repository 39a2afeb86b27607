/**
 * BTF, the type information of eBPF objects (Documentation/bpf/btf.rst): parsed from its raw form, as it lies in an
 * object file's `.BTF` section and as libbpf holds it. Offsets in data sections are only right in the latter.
 */

export interface BtfMember {
  readonly name: string
  readonly type: number
  readonly bitOffset: number
  /** 0 for a member that is no bit field. */
  readonly bitSize: number
}
export interface BtfValue {
  readonly name: string
  readonly value: bigint
}
export interface BtfVariable {
  /** Id of a type of kind `var`. */
  readonly type: number
  readonly offset: number
  readonly size: number
}
/** One type for each of the kinds `K`, so that a switch over `kind` narrows. */
type Each<K extends string, Body> = K extends string
  ? Body & {
      readonly kind: K
      readonly id: number
      /** Empty for an anonymous type. */
      readonly name: string
    }
  : never
export type BtfType =
  | Each<'void' | 'func-proto' | 'fwd', unknown>
  | Each<'int', { readonly size: number; readonly signed: boolean; readonly bool: boolean }>
  | Each<'float', { readonly size: number }>
  | Each<'array', { readonly element: number; readonly length: number }>
  | Each<'struct' | 'union', { readonly size: number; readonly members: readonly BtfMember[] }>
  | Each<'enum', { readonly size: number; readonly values: readonly BtfValue[] }>
  | Each<Modifier | 'ptr' | 'func' | 'var' | 'decl-tag', { readonly type: number }>
  | Each<'datasec', { readonly size: number; readonly variables: readonly BtfVariable[] }>
/** Kinds that stand before another type without changing its layout. */
export type Modifier = 'typedef' | 'volatile' | 'const' | 'restrict' | 'type-tag'
type Kind<K extends BtfType['kind']> = Extract<BtfType, { readonly kind: K }>

const MAGIC = 0xeb9f
const modifiers: ReadonlySet<string> = new Set(['typedef', 'volatile', 'const', 'restrict', 'type-tag'])

/** All types of an object; ids index them. */
export class Btf {
  readonly types: readonly BtfType[]
  constructor(types: readonly BtfType[]) {
    this.types = types
  }

  type(id: number): BtfType {
    const found = this.types[id]
    if (!found) throw new RangeError(`BTF has no type ${id}`)
    return found
  }

  /** The type itself, behind typedefs and qualifiers. */
  resolve(id: number): BtfType {
    const found = this.type(id)
    return isModifier(found) ? this.resolve(found.type) : found
  }

  /** Name of the first typedef on the way to the type itself, such as `__be32`. */
  typedefName(id: number): string | undefined {
    const found = this.type(id)
    if (found.kind === 'typedef') return found.name
    return isModifier(found) ? this.typedefName(found.type) : undefined
  }

  sizeOf(id: number): number {
    const found = this.resolve(id)
    if (found.kind === 'array') return this.sizeOf(found.element) * found.length
    if (found.kind === 'ptr') return 8
    if ('size' in found) return found.size
    throw new RangeError(`BTF type ${id} (${found.kind} ${found.name}) has no size`)
  }

  find<K extends BtfType['kind']>(kind: K, name: string): Kind<K> | undefined {
    return this.all(kind).find(type => type.name === name)
  }

  all<K extends BtfType['kind']>(kind: K): Kind<K>[] {
    return this.types.filter((type): type is Kind<K> => type.kind === kind)
  }
}

function isModifier(type: BtfType): type is Kind<Modifier> {
  return modifiers.has(type.kind)
}

/** Parses raw little-endian BTF. Throws RangeError on anything it does not understand. */
export function parseBtf(raw: Uint8Array): Btf {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  if (raw.byteLength < 24 || view.getUint16(0, true) !== MAGIC) throw new RangeError('no little-endian BTF')
  const headerLength = view.getUint32(4, true)
  const typesAt = headerLength + view.getUint32(8, true)
  const end = typesAt + view.getUint32(12, true)
  const strings = raw.subarray(headerLength + view.getUint32(16, true))
  const reader = new Reader(view, typesAt, strings)
  const types: BtfType[] = [{ kind: 'void', id: 0, name: '' }]
  while (reader.position < end) types.push(reader.type(types.length))
  return new Btf(types)
}

/** Reads one type after the other; the order of its calls is that of the format. */
class Reader {
  position: number
  readonly #view: DataView
  readonly #strings: Uint8Array
  constructor(view: DataView, position: number, strings: Uint8Array) {
    this.#view = view
    this.position = position
    this.#strings = strings
  }

  type(id: number): BtfType {
    const name = this.#string()
    const info = this.#u32()
    const sizeOrType = this.#u32()
    const count = info & 0xffff
    const flag = info >>> 31 === 1
    return { id, name, ...this.#body((info >>> 24) & 31, count, flag, sizeOrType) } as BtfType // one of its members
  }

  #body(kind: number, count: number, flag: boolean, sizeOrType: number): object {
    switch (kind) {
      case 1:
        return { kind: 'int', size: sizeOrType, ...this.#encoding() }
      case 3:
        return { kind: 'array', ...this.#array() }
      case 4:
      case 5:
        return {
          kind: kind === 4 ? 'struct' : 'union',
          size: sizeOrType,
          members: this.#times(count, () => this.#member(flag)),
        }
      case 6:
        return { kind: 'enum', size: sizeOrType, values: this.#times(count, () => this.#value32(flag)) }
      case 19:
        return { kind: 'enum', size: sizeOrType, values: this.#times(count, () => this.#value64(flag)) }
      case 7:
        return { kind: 'fwd' }
      case 13:
        this.#times(count, () => this.#skip(2))
        return { kind: 'func-proto' }
      case 15:
        return { kind: 'datasec', size: sizeOrType, variables: this.#times(count, () => this.#variable()) }
      case 16:
        return { kind: 'float', size: sizeOrType }
      default:
        return this.#reference(kind, sizeOrType)
    }
  }

  #reference(kind: number, type: number): object {
    const name = references[kind]
    if (name === undefined) throw new RangeError(`BTF has a type of unknown kind ${kind}`)
    if (name === 'var' || name === 'decl-tag') this.#skip(1)
    return { kind: name, type }
  }
  #encoding(): object {
    const encoding = (this.#u32() >>> 24) & 15
    return { signed: (encoding & 1) !== 0, bool: (encoding & 4) !== 0 }
  }
  #array(): object {
    const element = this.#u32()
    this.#skip(1) // type of the index
    return { element, length: this.#u32() }
  }
  #member(bitFields: boolean): BtfMember {
    const name = this.#string()
    const type = this.#u32()
    const offset = this.#u32()
    return bitFields
      ? { name, type, bitOffset: offset & 0xffffff, bitSize: offset >>> 24 }
      : { name, type, bitOffset: offset, bitSize: 0 }
  }
  #value32(signed: boolean): BtfValue {
    const name = this.#string()
    const value = this.#u32()
    return { name, value: BigInt(signed ? value | 0 : value) }
  }
  #value64(signed: boolean): BtfValue {
    const name = this.#string()
    const value = BigInt(this.#u32()) | (BigInt(this.#u32()) << 32n)
    return { name, value: signed ? BigInt.asIntN(64, value) : value }
  }
  #variable(): BtfVariable {
    return { type: this.#u32(), offset: this.#u32(), size: this.#u32() }
  }

  #times<T>(count: number, read: () => T): T[] {
    return Array.from({ length: count }, read)
  }
  #skip(words: number): void {
    this.position += 4 * words
  }
  #u32(): number {
    const value = this.#view.getUint32(this.position, true)
    this.position += 4
    return value
  }
  #string(): string {
    const start = this.#u32()
    return new TextDecoder().decode(this.#strings.subarray(start, this.#strings.indexOf(0, start)))
  }
}

const references: Readonly<Record<number, BtfType['kind']>> = {
  2: 'ptr',
  8: 'typedef',
  9: 'volatile',
  10: 'const',
  11: 'restrict',
  12: 'func',
  14: 'var',
  17: 'decl-tag',
  18: 'type-tag',
}
