/** Sections and symbols of a little-endian 64-bit ELF object (elf(5)), as far as generation needs them. */

export interface ElfSymbol {
  readonly name: string
  /** In its section. */
  readonly offset: number
}
interface SectionHeader {
  readonly nameAt: number
  readonly offset: number
  readonly size: number
  readonly link: number
}

export class Elf {
  readonly #file: Uint8Array
  readonly #view: DataView
  readonly #headers: readonly SectionHeader[]
  readonly #names: readonly string[]

  /** Throws RangeError when the bytes are no such object. */
  constructor(file: Uint8Array) {
    this.#file = file
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength)
    if (file.length < 64 || this.#view.getUint32(0, false) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) {
      throw new RangeError('no little-endian 64-bit ELF file')
    }
    const at = Number(this.#view.getBigUint64(0x28, true))
    const size = this.#view.getUint16(0x3a, true)
    const count = this.#view.getUint16(0x3c, true)
    this.#headers = Array.from({ length: count }, (_, i) => this.#header(at + i * size))
    const strings = this.#content(this.#view.getUint16(0x3e, true))
    this.#names = this.#headers.map(header => textAt(strings, header.nameAt))
  }

  /** Content of a section; undefined when there is none of that name. */
  section(name: string): Uint8Array | undefined {
    const index = this.#names.indexOf(name)
    return index < 0 ? undefined : this.#content(index)
  }

  symbols(): ElfSymbol[] {
    const index = this.#names.indexOf('.symtab')
    if (index < 0) return []
    const table = this.#content(index)
    const strings = this.#content(this.#headers[index]?.link ?? 0)
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength)
    return Array.from({ length: table.length / 24 }, (_, i) => ({
      name: textAt(strings, view.getUint32(24 * i, true)),
      offset: Number(view.getBigUint64(24 * i + 8, true)),
    }))
  }

  #header(at: number): SectionHeader {
    return {
      nameAt: this.#view.getUint32(at, true),
      offset: Number(this.#view.getBigUint64(at + 0x18, true)),
      size: Number(this.#view.getBigUint64(at + 0x20, true)),
      link: this.#view.getUint32(at + 0x28, true),
    }
  }
  #content(index: number): Uint8Array {
    const { offset = 0, size = 0 } = this.#headers[index] ?? {}
    return this.#file.subarray(offset, offset + size)
  }
}

function textAt(strings: Uint8Array, at: number): string {
  return new TextDecoder().decode(strings.subarray(at, strings.indexOf(0, at)))
}
