/**
 * The C library as the kernel layer uses it, and memory whose address the kernel is given.
 *
 * Memory passed by address inside another structure (bpf_attr, iovec) is invisible to the garbage collector, which may
 * free it during the call; therefore only `Memory`, which lives outside the JavaScript heap, is ever passed that way.
 */
import koffi from 'koffi'
import { SystemError } from './errors.ts'

export type Library = ReturnType<typeof koffi.load>
export type CFunction = ReturnType<Library['func']>

let libraries: { readonly libc: Library } | undefined
/** The C library, loaded at first use: nothing happens at import. */
export function libc(): Library {
  libraries ??= { libc: koffi.load('libc.so.6') }
  return libraries.libc
}

/** A function that is looked up in the C library at its first call. Declarations are koffi's C syntax. */
export function libcFunction(declaration: string): () => CFunction {
  let f: CFunction | undefined
  return () => (f ??= libc().func(declaration))
}

/** Of values with several names those that errors carry. */
const PREFERRED = ['EAGAIN', 'EDEADLK', 'EOPNOTSUPP'] as const
const errnoNames = new Map<number, string>([
  ...Object.entries(koffi.os.errno).map(([name, value]) => [value, name] as const),
  ...PREFERRED.map(name => [errnoValue(name), name] as const),
])

/** Name of an errno value, such as ENOENT; EAGAIN, EDEADLK and EOPNOTSUPP where a value has two. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`
}
/** Value of an errno name; throws for a name this platform lacks. */
export function errnoValue(name: string): number {
  const value = (koffi.os.errno as Record<string, number>)[name]
  if (value === undefined) throw new RangeError(`no errno ${name}`)
  return value
}
/** errno of the last call; read it directly after the call. */
export function lastErrno(): number {
  return koffi.errno()
}
export function systemError(attempt: string, errno: number, detail?: string): SystemError {
  return new SystemError(attempt, errno, errnoName(errno), detail)
}

/**
 * Memory outside the JavaScript heap, zeroed, with a stable address. Nothing frees it but disposal, after which it has no
 * bytes and no address; whoever kept `bytes` or `view` must not touch them any more.
 */
export class Memory implements Disposable {
  #pointer: unknown
  #address: bigint
  #bytes: Uint8Array
  #view: DataView

  constructor(length: number) {
    this.#pointer = koffi.alloc('uint8_t', Math.max(1, length))
    this.#address = koffi.address(this.#pointer)
    const buffer = koffi.view(this.#pointer, Math.max(1, length))
    this.#bytes = new Uint8Array(buffer, 0, length)
    this.#bytes.fill(0)
    this.#view = new DataView(buffer, 0, length)
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }
  get view(): DataView {
    return this.#view
  }
  /** Address as a koffi pointer, for arguments declared `void *`; null once freed, which the kernel answers by EFAULT. */
  get pointer(): unknown {
    return this.#pointer
  }
  get address(): bigint {
    return this.#address
  }

  [Symbol.dispose](): void {
    if (this.#pointer === null) return
    koffi.free(this.#pointer)
    this.#pointer = null
    this.#address = 0n
    this.#bytes = new Uint8Array()
    this.#view = new DataView(new ArrayBuffer())
  }
}
