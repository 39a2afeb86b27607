/** The file operations the journal needs, apart from it so that a test can let a disk fill up or a process end. */
import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

/** Each throws Node's system error. Descriptors are the implementation's own. */
export interface JournalFiles {
  /** Undefined when there is no such file. */
  read(path: string): Uint8Array | undefined
  /** An empty file, readable by its owner only; an old one of that name is replaced. Its directory is made. */
  create(path: string): number
  /** Writes all bytes at that offset or throws. */
  write(fd: number, bytes: Uint8Array, offset: number): void
  truncate(fd: number, length: number): void
  /** Resolves when what was written is on the disk. */
  datasync(fd: number): Promise<void>
  /** The same, holding up the event loop; for the start. */
  datasyncNow(fd: number): void
  rename(from: string, to: string): void
  /** Makes a rename durable. */
  syncDirectory(path: string): void
  close(fd: number): void
}

export function nodeFiles(): JournalFiles {
  return {
    read,
    create: path => {
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      return fs.openSync(path, 'w', 0o600)
    },
    write: (fd, bytes, offset) => {
      for (let done = 0; done < bytes.length; ) {
        done += fs.writeSync(fd, bytes, done, bytes.length - done, offset + done)
      }
    },
    truncate: fs.ftruncateSync,
    datasync: promisify(fs.fdatasync),
    datasyncNow: fs.fdatasyncSync,
    rename: fs.renameSync,
    syncDirectory: path => {
      const fd = fs.openSync(path, 'r')
      try {
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
    },
    close: fs.closeSync,
  }
}

function read(path: string): Uint8Array | undefined {
  try {
    return fs.readFileSync(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
