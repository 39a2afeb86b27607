/**
 * The unix socket's place in the run directory. A lock, which the kernel releases when its holder dies, says whether a
 * daemon is alive; only the holder touches the socket, so two daemons starting at once cannot take it from each other.
 */
import { chmodSync, ftruncateSync, mkdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { CausewayError } from '../errors.ts'
import { tryLockFile } from '../kernel/file-lock.ts'

/** Another daemon serves this run directory; `pid` is undefined when it could not be read. */
export class ApiInUse extends CausewayError {
  readonly pid: number | undefined
  constructor(path: string, pid: number | undefined) {
    super('API_IN_USE', `${path} is served by another daemon${pid === undefined ? '' : `, process ${pid}`}`)
    this.pid = pid
  }
}

export interface SocketClaim extends Disposable {
  readonly path: string
  /** To be called once the socket is bound: narrows its mode to 0600. */
  opened(): void
}

/** Takes the lock of a run directory and clears the way for its socket; throws ApiInUse. Disposing gives it back. */
export function claimSocket(runDirectory: string): SocketClaim {
  // A directory made here is closed to others, so that nobody connects before the socket's mode is narrowed.
  mkdirSync(runDirectory, { recursive: true, mode: 0o700 })
  const path = `${runDirectory}/api.sock`
  const lockPath = `${runDirectory}/api.lock`
  const lock = tryLockFile(lockPath)
  if (!lock) throw new ApiInUse(path, readPid(lockPath))
  using undo = new DisposableStack()
  undo.use(lock)
  ftruncateSync(lock.fd)
  writeSync(lock.fd, `${process.pid}\n`)
  rmSync(path, { force: true })
  undo.defer(() => rmSync(path, { force: true }))
  const held = undo.move()
  return { path, opened: () => chmodSync(path, 0o600), [Symbol.dispose]: () => held.dispose() }
}

function readPid(lockPath: string): number | undefined {
  const pid = Number.parseInt(readFileSync(lockPath, 'utf8'), 10)
  return Number.isNaN(pid) ? undefined : pid
}
