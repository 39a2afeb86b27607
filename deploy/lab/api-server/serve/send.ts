/** Answers on their way to the client, with the faults that happen there. */
import type { ServerResponse } from 'node:http'
import { setTimeout as after } from 'node:timers/promises'
import type { Answer } from '../call.ts'
import type { Counters } from '../counters.ts'
import type { WatchSink } from '../read/watch.ts'
import type { Outgoing } from './listener.ts'

export interface SendFaults {
  readonly cut: boolean
  readonly delayMs: number
  /** 0 is as fast as it goes. */
  readonly bytesPerSecond: number
}

/** HTTP/2 answers have the same methods, in the compatibility layer of node:http2. */
function http(response: Outgoing): Pick<ServerResponse, 'writeHead' | 'write' | 'end' | 'destroy' | 'writableLength'> {
  return response as ServerResponse
}

/** Sends an answer; resolves once it has been handed over, or when nobody waits for it any more. */
export async function send(counters: Counters, response: Outgoing, answer: Answer, faults: SendFaults): Promise<void> {
  if (faults.delayMs > 0) await after(faults.delayMs)
  if (isGone(response)) return
  const out = http(response)
  const length = answer.body.reduce((sum, part) => sum + part.length, 0)
  counters.answer(answer.code)
  out.writeHead(answer.code, {
    'content-type': answer.type ?? 'application/json',
    'content-length': length,
    'cache-control': 'no-cache, private',
    ...answer.headers,
  })
  if (faults.cut) return cut(response, Buffer.concat(answer.body).subarray(0, Math.ceil(length / 2)))
  counters.sent(length)
  if (faults.bytesPerSecond > 0) await drip(response, Buffer.concat(answer.body), faults.bytesPerSecond)
  else out.write(answer.body.length === 1 ? (answer.body[0] ?? Buffer.alloc(0)) : Buffer.concat(answer.body))
  out.end()
}

/** Some bytes, and then the connection is gone with everything else on it. */
function cut(response: Outgoing, bytes: Buffer): void {
  http(response).write(bytes, () => destroyConnection(response))
}

async function drip(response: Outgoing, bytes: Buffer, bytesPerSecond: number): Promise<void> {
  const step = Math.max(1, Math.ceil(bytesPerSecond / 20))
  for (let at = 0; at < bytes.length && !isGone(response); at += step) {
    http(response).write(bytes.subarray(at, at + step))
    await after((step / bytesPerSecond) * 1000)
  }
}

/** Whether nobody waits for an answer any more. */
function isGone(response: Outgoing): boolean {
  return ('stream' in response ? response.stream : response.socket)?.destroyed !== false
}

/** Ends the connection under an answer; over HTTP/2 others share it. */
function destroyConnection(response: Outgoing): void {
  if ('stream' in response) response.stream.session?.destroy()
  else response.socket?.destroy()
}

/** A client that does not read is let go once this much waits for it. */
const MAX_WAITING_BYTES = 256 * 1024 * 1024

/** The other end of a watch; its lines of one moment go out together. */
export function watchSink(response: Outgoing): WatchSink {
  const out = http(response)
  out.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
  if ('flushHeaders' in response) response.flushHeaders()
  let waiting: Buffer[] = []
  const flush = (): void => {
    const lines = waiting
    waiting = []
    if (lines.length === 0 || isGone(response)) return
    out.write(lines.length === 1 ? (lines[0] ?? Buffer.alloc(0)) : Buffer.concat(lines))
    if (out.writableLength > MAX_WAITING_BYTES) destroyConnection(response)
  }
  return {
    write: line => {
      if (waiting.push(line) === 1) queueMicrotask(flush)
    },
    end: () => {
      flush()
      out.end()
    },
    destroy: () => {
      flush()
      // What was written goes out before the connection does.
      setImmediate(() => destroyConnection(response))
    },
  }
}
