/** Notes of a plugin as the daemon keeps them, on a disk of its own that can fail and that outlives what writes to it. */
import type { Notes } from '../../daemon/plugin.ts'

export class FakeNotes {
  readonly disk = new Map<string, string>()
  complete = true
  /** A write rejects; what the disk has then is not told. */
  full = false
  /** Held back until it resolves. */
  slow: Promise<void> = Promise.resolve()

  /** For one life of a plugin. */
  open(): Notes {
    return {
      entries: new Map(this.disk),
      complete: this.complete,
      write: async (key, text) => {
        await this.slow
        if (this.full) throw new Error('no space left on device')
        if (text === undefined) this.disk.delete(key)
        else this.disk.set(key, text)
      },
    }
  }
}
