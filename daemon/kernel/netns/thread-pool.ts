import { stat } from 'node:fs/promises'

/**
 * Starts the threads of libuv's pool, which does asynchronous file access and calls on a thread. A thread inherits the
 * namespace of the one that starts it; once all are there, none is started while the main thread stands elsewhere.
 * Await this before the first `inNetns`.
 */
export async function warmThreadPool(): Promise<void> {
  const threads = Number(process.env['UV_THREADPOOL_SIZE']) || 4
  await Promise.all(Array.from({ length: 2 * threads }, () => stat('/')))
}
