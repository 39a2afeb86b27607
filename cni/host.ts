/**
 * The outside as the CNI program sees it. The C host (host/) implements it for the executable, `fake-host.ts` for
 * tests. Primitives only: no time-out, path or retry is chosen behind this line.
 *
 * Failures are POSIX error names (`ECONNREFUSED`), success of a primitive without a result is the empty string.
 */

/** Text that was read, or why it could not be (EILSEQ: not UTF-8, EFBIG: over the limit, ETIMEDOUT). */
export type Reading = { readonly text: string; readonly problem?: never } | { readonly problem: string }

/** An HTTP answer, or the stage at which the exchange ended: nothing was sent before `connect` succeeded. */
export type Exchange =
  | { readonly status: number; readonly text: string; readonly problem?: never }
  | { readonly problem: string; readonly stage: 'connect' | 'send' | 'receive' }

export interface Host {
  /** Value of a variable; undefined when it is not set, null when it is not UTF-8. */
  environment(name: string): string | null | undefined
  /** Standard input up to its end. */
  input(limitBytes: number, timeoutMs: number): Reading
  /** Writes all of a text to standard output (1) or standard error (2). */
  output(fd: 1 | 2, text: string): string
  isTerminal(fd: 0 | 1 | 2): boolean
  /** First offence against RFC 8259 with its position; empty for a well-formed text nested at most 32 deep. */
  checkJson(text: string): string
  /** Milliseconds on a clock that never jumps. */
  monotonicMs(): number
  /** Whole microseconds since 1970. */
  unixTimeUs(): number
  processId(): number
  sleep(ms: number): void
  /** Ends the process; a fake throws instead. */
  exit(status: number): never

  /** One level only; EEXIST when it is there. */
  makeDirectory(path: string): string
  list(path: string): { readonly names: readonly string[]; readonly problem?: never } | { readonly problem: string }
  readFile(path: string): Reading
  /** Inode number of what a path leads to, undefined when it leads nowhere. */
  inode(path: string): number | undefined
  removeFile(path: string): string
  /** Takes a directory's exclusive lock, which lasts until the process ends. */
  lock(path: string, timeoutMs: number): string
  /** Content, fsync, rename to `name`, fsync of the directory: a crash leaves the whole file or none of that name. */
  writeDurably(directory: string, temporary: string, name: string, text: string): string

  /** POST of a JSON body to a unix socket; the time-out covers everything from connecting to the answer's last byte. */
  exchange(socket: string, path: string, body: string, timeoutMs: number): Exchange
}
