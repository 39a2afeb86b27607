/** How typed keys and values lie in a map's memory. Structures' layouts are generated from BTF (`datapath/*.gen.ts`). */

/** A fixed-size value in memory: bytes, and both ways between them and the typed form. */
export interface Layout<T> {
  readonly size: number
  decode(view: DataView, offset: number): T
  encode(view: DataView, offset: number, value: T): void
}

/** Sizes are those of the transfer between user space and kernel; encoding writes every byte, padding as zero. */
export interface Codec<K, V> {
  readonly keySize: number
  readonly valueSize: number
  encodeKey(view: DataView, offset: number, key: K): void
  decodeKey(view: DataView, offset: number): K
  encodeValue(view: DataView, offset: number, value: V): void
  decodeValue(view: DataView, offset: number): V
}

export function codec<K, V>(key: Layout<K>, value: Layout<V>): Codec<K, V> {
  return {
    keySize: key.size,
    valueSize: value.size,
    encodeKey: (view, offset, k) => key.encode(view, offset, k),
    decodeKey: (view, offset) => key.decode(view, offset),
    encodeValue: (view, offset, v) => value.encode(view, offset, v),
    decodeValue: (view, offset) => value.decode(view, offset),
  }
}

/**
 * Values of a per-CPU map: one for each possible CPU, in the kernel's order, each padded to 8 bytes
 * (`bpf_percpu_hash_copy`). An update must bring as many.
 */
export function perCpu<T>(layout: Layout<T>, cpus: number): Layout<readonly T[]> {
  const stride = (layout.size + 7) & ~7
  return {
    size: stride * cpus,
    decode: (view, offset) => Array.from({ length: cpus }, (_, cpu) => layout.decode(view, offset + cpu * stride)),
    encode: (view, offset, values) => {
      if (values.length !== cpus) throw new RangeError(`a per-CPU value needs ${cpus} elements, not ${values.length}`)
      values.forEach((value, cpu) => {
        layout.encode(view, offset + cpu * stride, value)
      })
    },
  }
}

/** Host order, as map indices and counters are; also ids and descriptors of inner maps and programs. */
export const u32: Layout<number> = {
  size: 4,
  decode: (view, offset) => view.getUint32(offset, true),
  encode: (view, offset, value) => view.setUint32(offset, value, true),
}

export const u64: Layout<bigint> = {
  size: 8,
  decode: (view, offset) => view.getBigUint64(offset, true),
  encode: (view, offset, value) => view.setBigUint64(offset, value, true),
}

/** Plain bytes; decoding copies them, encoding wants exactly as many. */
export function bytes(size: number): Layout<Uint8Array> {
  return {
    size,
    decode: (view, offset) => getBytes(view, offset, size),
    encode: (view, offset, value) => putBytes(view, offset, value, size),
  }
}

/** A copy of `size` bytes. */
export function getBytes(view: DataView, offset: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, size).slice()
}
/** Writes exactly `size` bytes; throws RangeError when there are more or fewer. */
export function putBytes(view: DataView, offset: number, value: Uint8Array, size: number): void {
  if (value.length !== size) throw new RangeError(`want ${size} bytes, got ${value.length}`)
  new Uint8Array(view.buffer, view.byteOffset + offset, size).set(value)
}
export function putZeros(view: DataView, offset: number, size: number): void {
  new Uint8Array(view.buffer, view.byteOffset + offset, size).fill(0)
}
