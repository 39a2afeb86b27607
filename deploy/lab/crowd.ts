/**
 * Many connections to an echo server. Arguments: `hold` or `dial`, a number, an address, a port. `hold` opens so many and
 * keeps each busy; `dial` opens, speaks and closes, so many at a time. Prints `begun`, and at SIGTERM a `CrowdResult`.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const [kind = '', number = '', address = '', port = ''] = process.argv.slice(2)
const CONTENT = Buffer.alloc(64, 'x')
/** A held connection says something so often. */
const PAUSE_MS = 200
/** What is not answered for so long failed. */
const LIMIT_MS = 3000
/** Connections that are opened at once. */
const AT_ONCE = 25

let [opened, answered] = [0, 0]
const failures = new Set<string>()
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
const { signal } = stopping

interface Connection {
  readonly socket: Socket
  /** Aborted when the other end has closed it, or it broke. */
  readonly closed: AbortSignal
}

async function open(): Promise<Connection> {
  const socket = connect({ host: address, port: Number(port) })
  const closing = new AbortController()
  socket.once('close', () => closing.abort(new Error('closed')))
  socket.on('error', error => closing.abort(error))
  await happens(socket, 'connect', closing.signal)
  opened++
  return { socket, closed: closing.signal }
}

/** Sends the content and waits until it has all come back. */
async function exchange({ socket, closed }: Connection): Promise<void> {
  socket.write(CONTENT)
  for (let missing = CONTENT.length; missing > 0; ) {
    const [chunk] = (await happens(socket, 'data', closed)) as [Buffer]
    missing -= chunk.length
  }
  answered++
}

/** What an event of a socket tells; throws why it did not come. */
async function happens(socket: Socket, event: string, closed: AbortSignal): Promise<unknown[]> {
  const end = AbortSignal.any([closed, AbortSignal.timeout(LIMIT_MS)])
  try {
    return await once(socket, event, { signal: end })
  } catch (error) {
    throw end.aborted ? end.reason : error
  }
}

async function attempt(act: () => Promise<void>): Promise<boolean> {
  try {
    await act()
    return true
  } catch (error) {
    failures.add(error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error))
    return false
  }
}

async function hold(connection: Connection): Promise<void> {
  while (!signal.aborted && (await attempt(() => exchange(connection)))) await pause()
  connection.socket.destroy()
}

/** Opens a connection, speaks and closes it. */
async function dialOnce(): Promise<boolean> {
  return await attempt(async () => {
    const connection = await open()
    try {
      await exchange(connection)
    } finally {
      connection.socket.destroy()
    }
  })
}

async function dial(): Promise<void> {
  while (!signal.aborted) await dialOnce()
}

async function pause(): Promise<void> {
  await delay(PAUSE_MS, undefined, { signal }).catch(() => {})
}

const count = Number(number)
const running: Promise<void>[] = []
if (kind === 'hold') {
  for (let first = 0; first < count; first += AT_ONCE) {
    const sockets = Array.from({ length: Math.min(AT_ONCE, count - first) }, async () => {
      await attempt(async () => void running.push(hold(await open())))
    })
    await Promise.all(sockets)
  }
  console.log('begun')
} else {
  await dialOnce()
  console.log('begun')
  for (let i = 0; i < count; i++) running.push(dial())
}
await once(signal, 'abort').catch(() => {})
await Promise.all(running)
console.log(JSON.stringify({ opened, answered, failures: [...failures] }))
